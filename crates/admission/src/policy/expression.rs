//! The expressions of a policy, compiled.

use portcullis_api::admission_policy::{AdmissionPolicySpec, Each, Validation, ValidationReason};
use portcullis_cel::{Environment, Expected, Program, Type};

use super::compile::Problem;

/// Everything of a policy that is CEL.
#[derive(Debug)]
pub(crate) struct Expressions {
    pub(crate) conditions: Vec<(String, Program)>,
    pub(crate) variables: Vec<(String, Program)>,
    pub(crate) validations: Vec<Control>,
    /// Each with its key.
    pub(crate) annotations: Vec<(String, Program)>,
}

/// A validation.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) name: String,
    pub(crate) each: Option<Each>,
    pub(crate) program: Program,
    /// What is said where it is false and its own expression gives nothing.
    pub(crate) message: String,
    pub(crate) message_program: Option<Program>,
    pub(crate) reason: ValidationReason,
    /// The names of fields that lead to what is judged.
    pub(crate) field: Vec<String>,
    pub(crate) allowed: Option<String>,
    pub(crate) change: Option<String>,
}

impl Expressions {
    /// Compiles every expression.
    ///
    /// # Errors
    /// All problems of all of them.
    pub(crate) fn compile(spec: &AdmissionPolicySpec, has_params: bool) -> Result<Self, Vec<Problem>> {
        let mut environment = Environment::admission().exact();
        if !has_params {
            // Kubernetes does not declare it then. Here it can be named, and has no field: that is found here and not at a request.
            environment.declare("params", Type::Null);
        }
        let mut compiler = Compiler { problems: Vec::new() };
        let conditions = spec.match_conditions.iter().enumerate().filter_map(|(index, condition)| {
            let field = format!("spec.matchConditions[{index}].expression");
            Some((condition.name.clone(), compiler.program(field, &condition.expression, &environment, Expected::Bool)?))
        });
        let conditions = conditions.collect();
        let mut variables = Vec::new();
        for (index, variable) in spec.variables.iter().enumerate() {
            let field = format!("spec.variables[{index}].expression");
            let Some(program) = compiler.program(field, &variable.expression, &environment, Expected::Anything) else { continue };
            environment.variable(&variable.name, &program);
            variables.push((variable.name.clone(), program));
        }
        let validations = spec.validations.iter().enumerate();
        let validations = validations.filter_map(|(index, validation)| compiler.control(index, validation, &environment)).collect();
        let annotations = spec.audit_annotations.iter().enumerate().filter_map(|(index, annotation)| {
            let field = format!("spec.auditAnnotations[{index}].valueExpression");
            Some((annotation.key.clone(), compiler.program(field, &annotation.value_expression, &environment, Expected::StringOrNull)?))
        });
        let annotations = annotations.collect();
        if compiler.problems.is_empty() { Ok(Self { conditions, variables, validations, annotations }) } else { Err(compiler.problems) }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.conditions.is_empty() && self.validations.is_empty() && self.annotations.is_empty()
    }

    /// The names of the validations.
    pub(crate) fn controls(&self) -> impl Iterator<Item = &str> {
        self.validations.iter().map(|control| control.name.as_str())
    }
}

struct Compiler {
    problems: Vec<Problem>,
}

impl Compiler {
    fn program(&mut self, field: String, source: &str, environment: &Environment, expected: Expected) -> Option<Program> {
        match Program::compile(source, environment, expected) {
            Ok(program) => Some(program),
            Err(problems) => {
                self.problems.extend(problems.iter().map(|problem| Problem { field: field.clone(), message: problem.to_string() }));
                None
            }
        }
    }

    fn control(&mut self, index: usize, validation: &Validation, environment: &Environment) -> Option<Control> {
        let at = format!("spec.validations[{index}]");
        let mut environment = environment.clone();
        if let Some(each) = validation.each {
            environment.declare(each.identifier(), Type::Dyn);
        }
        let program = self.program(format!("{at}.expression"), &validation.expression, &environment, Expected::Bool);
        let message_program = match &validation.message_expression {
            None => None,
            Some(source) => Some(self.program(format!("{at}.messageExpression"), source, &environment, Expected::String)?),
        };
        let message = validation.message.as_deref().map(str::trim).map(str::to_owned);
        Some(Control {
            name: control_name(index, validation),
            each: validation.each,
            program: program?,
            message: message.unwrap_or_else(|| format!("failed expression: {}", validation.expression.trim())),
            message_program,
            reason: validation.reason.unwrap_or_default(),
            field: validation.field.iter().flat_map(|field| field.split('.')).map(str::to_owned).collect(),
            allowed: validation.allowed.clone(),
            change: validation.change.clone(),
        })
    }
}

/// The name by which exceptions and people know a validation.
pub(crate) fn control_name(index: usize, validation: &Validation) -> String {
    validation.name.clone().unwrap_or_else(|| format!("validations[{index}]"))
}
