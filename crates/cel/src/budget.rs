//! What an evaluation may cost, in units and in time.
//!
//! The unit is Kubernetes': about one step of the evaluation. What walks over a text costs a tenth of a unit a byte, what walks over a list a
//! unit an element, and what is made is paid for before memory is taken for it, so that the units bound memory too. The clock is asked every
//! [`STEPS_BETWEEN_CLOCKS`] charges, and before anything that is slow.

use crate::{EvaluationError, error::Limit};
use std::time::Instant;

/// Kubernetes' limit for one expression.
pub const EXPRESSION_UNITS: u64 = 1_000_000;

/// Kubernetes' limit for all expressions of one policy and one binding.
pub const POLICY_UNITS: u64 = 10_000_000;

/// Kubernetes' limit for the match conditions of one policy.
pub const MATCH_CONDITIONS_UNITS: u64 = 2_500_000;

/// Charges between two looks at the clock: Kubernetes looks after as many iterations.
const STEPS_BETWEEN_CLOCKS: u32 = 100;

/// What is left of a policy's units and time. One for all expressions of a policy in one request.
#[derive(Clone, Debug)]
pub struct Budget {
    per_expression: u64,
    expression: u64,
    policy: u64,
    deadline: Option<Instant>,
    steps: u32,
}

impl Budget {
    /// Kubernetes' limits, and a deadline.
    pub fn until(deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..Self::of(EXPRESSION_UNITS, POLICY_UNITS) }
    }

    /// Units for each expression and for all together, without a deadline.
    pub fn of(per_expression: u64, policy: u64) -> Self {
        Self { per_expression, expression: per_expression, policy, deadline: None, steps: 0 }
    }

    /// The same units, with a deadline.
    #[must_use]
    pub fn with_deadline(self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// Units that are left for the policy.
    pub fn left(&self) -> u64 {
        self.policy
    }

    /// An expression begins: what the one around it has left.
    pub(crate) fn enter(&mut self) -> Result<u64, EvaluationError> {
        self.look_at_clock()?;
        Ok(std::mem::replace(&mut self.expression, self.per_expression))
    }

    /// An expression ends, and the one around it goes on with what it had left.
    pub(crate) fn leave(&mut self, around: u64) {
        self.expression = around;
    }

    /// Takes units, before what they are for is done.
    pub(crate) fn charge(&mut self, units: u64) -> Result<(), EvaluationError> {
        self.steps += 1;
        if self.steps >= STEPS_BETWEEN_CLOCKS || units >= u64::from(STEPS_BETWEEN_CLOCKS) {
            self.look_at_clock()?;
        }
        self.expression = self.expression.checked_sub(units).ok_or(EvaluationError::limit(Limit::Expression))?;
        self.policy = self.policy.checked_sub(units).ok_or(EvaluationError::limit(Limit::Policy))?;
        Ok(())
    }

    /// Takes what walking over `bytes` of text costs.
    pub(crate) fn charge_text(&mut self, bytes: usize) -> Result<(), EvaluationError> {
        self.charge(bytes.div_ceil(10) as u64)
    }

    /// Takes a unit for each of `elements`.
    pub(crate) fn charge_elements(&mut self, elements: usize) -> Result<(), EvaluationError> {
        self.charge(elements as u64)
    }

    pub(crate) fn look_at_clock(&mut self) -> Result<(), EvaluationError> {
        self.steps = 0;
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(EvaluationError::limit(Limit::Time)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_charged_is_taken_from_the_expression_and_from_the_policy() {
        let mut budget = Budget::of(100, 150);
        assert_eq!(budget.charge(100), Ok(()));
        assert_eq!(budget.charge(1), Err(EvaluationError::limit(Limit::Expression)));
        let around = budget.enter().unwrap();
        assert_eq!(budget.charge(51), Err(EvaluationError::limit(Limit::Policy)));
        budget.leave(around);
        assert_eq!(budget.left(), 50);
    }

    #[test]
    fn a_deadline_that_has_passed_is_seen_before_anything_is_done() {
        let mut budget = Budget::until(Instant::now());
        assert_eq!(budget.enter(), Err(EvaluationError::limit(Limit::Time)));
        assert_eq!(budget.charge(1_000), Err(EvaluationError::limit(Limit::Time)));
    }

    #[test]
    fn the_clock_is_looked_at_every_hundred_charges() {
        let mut budget = Budget::until(Instant::now());
        let charged = (0..200).take_while(|_| budget.charge(1).is_ok()).count();
        assert_eq!(charged, 99);
    }
}
