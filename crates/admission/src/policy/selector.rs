//! Label selectors, with the meaning that Kubernetes gives them.

use portcullis_api::admission_policy::{LabelSelector, SelectorOperator};
use serde_json::{Map, Value};

/// Labels, as an object has them.
pub(crate) type Labels = Map<String, Value>;

/// Labels that objects have to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selector(LabelSelector);

impl Selector {
    pub(crate) fn new(selector: Option<&LabelSelector>) -> Self {
        Self(selector.cloned().unwrap_or_default())
    }

    /// Whether it asks for nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.match_labels.is_empty() && self.0.match_expressions.is_empty()
    }

    /// Whether an object with these labels is meant. A value that is no text is a label that is not there: the API server has none.
    pub(crate) fn matches(&self, labels: Option<&Labels>) -> bool {
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
        let required = self.0.match_labels.iter().all(|(key, value)| label(key) == Some(value));
        required
            && self.0.match_expressions.iter().all(|requirement| {
                let found = label(&requirement.key);
                let listed = || found.is_some_and(|found| requirement.values.iter().any(|value| value == found));
                match requirement.operator {
                    SelectorOperator::In => listed(),
                    SelectorOperator::NotIn => !listed(),
                    SelectorOperator::Exists => found.is_some(),
                    SelectorOperator::DoesNotExist => found.is_none(),
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(selector: Value, labels: Value) -> bool {
        let selector: LabelSelector = serde_json::from_value(selector).unwrap();
        Selector::new(Some(&selector)).matches(labels.as_object())
    }

    #[test]
    fn asks_for_all_that_it_lists() {
        let selector = json!({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "In", "values": ["x", "y"]}]});
        assert!(matches(selector.clone(), json!({"a": "1", "b": "y", "c": "z"})));
        assert!(!matches(selector.clone(), json!({"a": "1"})));
        assert!(!matches(selector, json!({"a": "2", "b": "y"})));
    }

    #[test]
    fn an_absent_label_is_not_in_any_list() {
        let not_in = json!({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["x"]}]});
        assert!(matches(not_in.clone(), json!({})) && matches(not_in.clone(), Value::Null) && !matches(not_in, json!({"b": "x"})));
        for (operator, present) in [("Exists", true), ("DoesNotExist", false)] {
            let selector = json!({"matchExpressions": [{"key": "b", "operator": operator}]});
            assert_eq!(matches(selector.clone(), json!({"b": ""})), present);
            assert_eq!(matches(selector, json!({})), !present);
        }
    }

    #[test]
    fn nothing_asked_for_means_everything() {
        assert!(Selector::default().is_empty() && Selector::default().matches(None));
    }
}
