//! What is asked.

use crate::analysis::Domain;
use crate::names::{Handle, TargetId};
use crate::value::Value;
use crate::verdict::Assurance;
use jiff::Timestamp;
use std::net::IpAddr;

/// May this person do this there, then?
#[derive(Debug, Clone)]
pub struct Question {
    /// The person.
    pub person: Handle,
    /// The target.
    pub target: TargetId,
    /// An action with protocol and class, e.g. `modbus:write:holding[100-199]`.
    pub action: String,
    /// When.
    pub at: Timestamp,
    /// From where; `None`: unknown.
    pub source: Option<IpAddr>,
    /// Signed in by which factors.
    pub assurance: Assurance,
    /// The value written, as a decimal; `None`: unknown.
    pub value: Option<String>,
}

/// The value as an address of that kind holds it.
pub(super) fn value(text: &str, domain: Domain) -> Result<Value, String> {
    match domain {
        Domain::Integer(first, last) => {
            let value: i128 = text
                .parse()
                .map_err(|_| format!("value {text:?} is no whole number, which the address holds"))?;
            if value < first || last < value {
                return Err(format!("value {value} does not fit the address, which holds {first} to {last}"));
            }
            Ok(Value::Integer(value))
        }
        Domain::Float => {
            let value: f32 = text.parse().map_err(|_| format!("value {text:?} is no number"))?;
            Value::float(value).ok_or_else(|| format!("value {text:?} is no number"))
        }
        Domain::Double => number(text).map(Value::Double),
        Domain::Wire => match text.parse() {
            Ok(integer) => Ok(Value::Integer(integer)),
            Err(_) => number(text).map(Value::Double),
        },
        Domain::None => Err(format!("value {text:?} was given for an address without a type")),
    }
}

fn number(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number.filter(|number| !number.is_nan()).ok_or_else(|| format!("value {text:?} is no number"))
}
