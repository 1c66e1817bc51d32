//! Comparing what came with what a case expects.

use serde_json::Value;

/// An error says where the two differ.
pub fn compare(expected: &Value, actual: &Value, path: &str) -> Result<(), String> {
    let is_equal = match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (name, expected) in expected {
                compare(expected, actual.get(name).unwrap_or(&Value::Null), &format!("{path}.{name}"))?;
            }
            true
        }
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
            for (index, (expected, actual)) in expected.iter().zip(actual).enumerate() {
                compare(expected, actual, &format!("{path}.{index}"))?;
            }
            true
        }
        (Value::Array(expected), Value::Null) => expected.is_empty(),
        (Value::Number(expected), Value::Number(actual)) => {
            let (expected, actual) = (expected.as_f64().unwrap_or(f64::NAN), actual.as_f64().unwrap_or(f64::NAN));
            (expected - actual).abs() <= 1e-9 * expected.abs().max(1.0)
        }
        (Value::String(expected), Value::String(actual)) => {
            expected == actual
                || matches!((microseconds(expected), microseconds(actual)), (Some(expected), Some(actual)) if expected == actual)
        }
        (expected, actual) => expected == actual,
    };
    if is_equal { Ok(()) } else { Err(format!("{path} is {actual}, expected {expected}")) }
}

/// A timestamp with six digits after the point; `None` when the text is none.
fn microseconds(text: &str) -> Option<String> {
    const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let (seconds, rest) = text.split_at_checked(SHAPE.len())?;
    let is_shaped = |(byte, shape): (u8, &u8)| if *shape == b'd' { byte.is_ascii_digit() } else { byte == *shape };
    let fraction = match rest.strip_suffix('Z')? {
        "" => "",
        fraction => fraction.strip_prefix('.').filter(|digits| (1..=9).contains(&digits.len()))?,
    };
    let is_timestamp =
        seconds.bytes().zip(SHAPE).all(is_shaped) && fraction.bytes().all(|byte| byte.is_ascii_digit());
    is_timestamp.then(|| format!("{seconds}.{:0<6}", &fraction[..fraction.len().min(6)]))
}

/// The value at a path such as `results.0.status`.
pub fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, part| match value {
        Value::Array(list) => list.get(part.parse::<usize>().ok()?),
        other => other.get(part),
    })
}
