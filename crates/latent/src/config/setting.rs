//! The keys that a settings struct has: what each takes, where it starts, what it means.
//!
//! The struct knows all of it: serde its names and defaults, its doc comments the meaning. `schemars` writes that down as a
//! JSON Schema, which here becomes a flat list of dotted keys; so no second list has to be kept in step.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value as Json;
use toml::{Table, Value};

/// One key of a table, or of a table inside it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// Such as `optimizer.learning_rate`; [`NAME`] stands for a name that the user gives.
    pub key: String,
    /// The values of the `kind` beside it that it belongs to, such as `linear`; empty for all.
    pub kinds: Vec<String>,
    /// What a value is: `whole number`, `list of numbers`, `choice` …
    pub takes: String,
    /// What it is unless set; none where it has to be set, or where the data decides.
    pub default: Option<Value>,
    /// Whether a table without it is refused.
    pub required: bool,
    /// What it is for.
    pub meaning: String,
    /// The names that it may be.
    pub choices: Vec<Choice>,
    /// For the `kind` of a member inside: the type of the settings on its axis.
    #[serde(skip)]
    pub axis: Option<String>,
}

/// A name that a value may be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// In a configuration.
    pub name: String,
    /// What it stands for.
    pub meaning: String,
}

/// Stands for what the user calls something, such as a term.
pub const NAME: &str = "NAME";

/// Marks, in a schema, a table that holds a member of that axis.
pub(crate) const AXIS: &str = "x-axis";

/// The keys of `T`; `defaults` is the table that its default becomes, as far as it has one.
pub fn settings_of<T: JsonSchema>(defaults: &Table) -> Vec<Setting> {
    let settings = SchemaSettings::default().with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<T>();
    let mut list = List { defaults, found: Vec::new() };
    list.properties(schema.as_value(), "", None);
    list.found
}

struct List<'a> {
    defaults: &'a Table,
    found: Vec<Setting>,
}

impl List<'_> {
    /// The keys of a table that stands at `path`, which belong to one `kind` of it where that is given.
    fn properties(&mut self, schema: &Json, path: &str, kind: Option<&str>) {
        let required = |name: &String| {
            schema["required"].as_array().is_some_and(|all| all.iter().any(|r| r.as_str() == Some(name)))
        };
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            if kind.is_some() && name == "kind" {
                continue;
            }
            let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            self.setting(inner, &key, kind, required(name), meaning(inner));
        }
    }

    fn setting(&mut self, schema: &Json, key: &str, kind: Option<&str>, required: bool, meaning: String) {
        let mut forms = Vec::new();
        forms_of(schema, &mut forms);
        if let [form] = forms.as_slice() {
            if let Some(axis) = form[AXIS].as_str() {
                let mut own = self.leaf(&[], format!("{key}.kind"), kind, required, meaning);
                own.axis = Some(axis.into());
                return self.push(own);
            }
            if form["properties"].is_object() {
                return self.properties(form, key, None);
            }
            if form["additionalProperties"].is_object() {
                let inner = &form["additionalProperties"];
                return self.setting(inner, &format!("{key}.{NAME}"), kind, required, meaning);
            }
        }
        if forms.iter().all(|form| kind_of(form).is_some()) {
            let mut own = self.leaf(&[], format!("{key}.kind"), kind, required, meaning);
            own.choices = forms.iter().filter_map(|form| Some(choice(kind_of(form)?, form))).collect();
            self.push(own);
            forms.iter().for_each(|form| self.properties(form, key, kind_of(form)));
            return;
        }
        let mut own = self.leaf(&forms, key.into(), kind, required, meaning);
        if own.default.is_none() {
            own.default = value(&schema["default"], &forms);
        }
        if own.default.is_none() && !required && schema.get("default").is_none() {
            // A key that stands in no file while it says nothing: its default is what says nothing.
            own.default = nothing(&forms);
        }
        self.push(own);
        for form in forms {
            self.properties(form, key, None);
        }
    }

    fn leaf(
        &self,
        forms: &[&Json],
        key: String,
        kind: Option<&str>,
        required: bool,
        meaning: String,
    ) -> Setting {
        let found = match kind {
            // The table of defaults is of one kind.
            Some(_) => None,
            None => {
                let mut parts = key.split('.');
                let first = parts.next().and_then(|part| self.defaults.get(part));
                parts
                    .fold(first, |value, part| value?.get(part))
                    .filter(|value| !value.is_table() && value.as_str() != Some(""))
            }
        };
        let takes = match forms {
            [] => "choice".into(),
            forms => {
                let mut all: Vec<String> = Vec::new();
                for takes in forms.iter().map(|form| takes(form)) {
                    if !all.contains(&takes) {
                        all.push(takes);
                    }
                }
                all.join(" or ")
            }
        };
        Setting {
            key,
            kinds: kind.map(String::from).into_iter().collect(),
            takes,
            default: found.map(|value| short(value.clone(), forms)),
            required: required && found.is_none(),
            meaning,
            choices: forms.iter().flat_map(|form| choices(form)).collect(),
            axis: None,
        }
    }

    /// The same key of another kind is one key of both.
    fn push(&mut self, own: Setting) {
        let same = self.found.iter_mut().find(|known| {
            !own.kinds.is_empty() && Setting { kinds: own.kinds.clone(), ..(*known).clone() } == own
        });
        match same {
            Some(known) => known.kinds.extend(own.kinds),
            None => self.found.push(own),
        }
    }
}

/// The alternatives of a schema, but for `null`.
fn forms_of<'a>(schema: &'a Json, forms: &mut Vec<&'a Json>) {
    for key in ["anyOf", "oneOf"] {
        if let Some(all) = schema[key].as_array() {
            return all.iter().for_each(|one| forms_of(one, forms));
        }
    }
    if schema["type"] != "null" {
        forms.push(schema);
    }
}

fn kind_of(form: &Json) -> Option<&str> {
    form["properties"]["kind"]["const"].as_str()
}

fn choice(name: &str, schema: &Json) -> Choice {
    Choice { name: name.into(), meaning: meaning(schema) }
}

fn choices(form: &Json) -> Vec<Choice> {
    let named = form["const"].as_str().map(|name| choice(name, form));
    let all = form["enum"].as_array().into_iter().flatten().filter_map(Json::as_str);
    named.into_iter().chain(all.map(|name| choice(name, &Json::Null))).collect()
}

/// What a value of one form is, in words.
fn takes(form: &Json) -> String {
    if !choices(form).is_empty() {
        return "choice".into();
    }
    let name = match &form["type"] {
        Json::Array(either) => either.iter().filter_map(Json::as_str).find(|name| *name != "null"),
        name => name.as_str(),
    };
    match name.unwrap_or_default() {
        "integer" => "whole number".into(),
        "number" => "number".into(),
        "boolean" => "true or false".into(),
        "string" => "text".into(),
        "array" => {
            let mut items = Vec::new();
            forms_of(&form["items"], &mut items);
            let many = |item: &&Json| match takes(item).as_str() {
                "text" => "text".to_string(),
                one => format!("{one}s"),
            };
            let items = items.iter().map(many).collect::<Vec<_>>().join(" or ");
            match (form["minItems"].as_u64(), form["maxItems"].as_u64()) {
                (Some(least), Some(most)) if least == most => format!("list of {least} {items}"),
                _ => format!("list of {items}"),
            }
        }
        _ => "table".into(),
    }
}

/// Doc comments as one line, without links.
fn meaning(schema: &Json) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace("[`", "`").replace("`]", "`")
}

/// A default of a schema as TOML.
fn value(default: &Json, forms: &[&Json]) -> Option<Value> {
    Value::try_from(default).ok().filter(|value| !value.is_table()).map(|value| short(value, forms))
}

/// A number in single precision with the digits that it has.
fn short(value: Value, forms: &[&Json]) -> Value {
    let single = forms.iter().any(|form| form["format"] == "float");
    match value.as_float() {
        Some(number) if single => (number as f32).to_string().parse().map_or(value, Value::Float),
        _ => value,
    }
}

fn nothing(forms: &[&Json]) -> Option<Value> {
    match forms.first()?["type"].as_str()? {
        "integer" => Some(Value::Integer(0)),
        "number" => Some(Value::Float(0.0)),
        "boolean" => Some(Value::Boolean(false)),
        "array" => Some(Value::Array(Vec::new())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    /// How a rate goes.
    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(tag = "kind", rename_all = "kebab-case")]
    enum Way {
        /// Level.
        Flat,
        /// Down to
        /// `last`.
        Line {
            /// The end.
            #[serde(default)]
            last: f64,
        },
        /// Down a curve.
        Curve {
            /// The end.
            #[serde(default)]
            last: f64,
            /// How bent.
            bend: u32,
        },
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(untagged)]
    enum Size {
        Side(usize),
        Sides([usize; 2]),
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(default)]
    struct Inner {
        /// Single [`f32`] precision.
        share: f32,
        /// The way.
        way: Way,
        /// Left out where empty.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        widths: Vec<usize>,
        /// A side, or both.
        size: Option<Size>,
    }

    impl Default for Inner {
        fn default() -> Self {
            Self { share: 0.1, way: Way::Flat, widths: Vec::new(), size: None }
        }
    }

    #[derive(Serialize, Deserialize, JsonSchema, Default)]
    #[serde(default)]
    struct Outer {
        /// Not seen: its keys are.
        inner: Inner,
    }

    #[test]
    fn a_struct_says_what_its_keys_are() {
        let defaults = Table::try_from(Outer::default()).unwrap();
        let found = settings_of::<Outer>(&defaults);
        let text = |s: &Setting| {
            let default = s.default.as_ref().map_or("unset".into(), Value::to_string);
            let choices: Vec<&str> = s.choices.iter().map(|c| c.name.as_str()).collect();
            format!("{} {:?}: {} = {default} {choices:?}; {}", s.key, s.kinds, s.takes, s.meaning)
        };
        let found: Vec<String> = found.iter().map(text).collect();
        assert_eq!(
            found,
            [
                "inner.share []: number = 0.1 []; Single `f32` precision.",
                "inner.size []: whole number or list of 2 whole numbers = unset []; A side, or both.",
                r#"inner.way.kind []: choice = "flat" ["flat", "line", "curve"]; The way."#,
                r#"inner.way.last ["line", "curve"]: number = 0.0 []; The end."#,
                r#"inner.way.bend ["curve"]: whole number = unset []; How bent."#,
                "inner.widths []: list of whole numbers = [] []; Left out where empty.",
            ]
        );
    }
}
