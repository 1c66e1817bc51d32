//! The steps of a case.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use prost::Message;
use serde_json::{Map, Value, json};
use tokio::{
    sync::watch,
    task::{JoinHandle, yield_now},
    time::{sleep, timeout},
};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, AsciiMetadataKey, BinaryMetadataValue, MetadataValue},
};
use tonic_types::StatusExt;
use tradebook_client::{
    Channel,
    v1::{self, event_service_client::EventServiceClient},
};

use crate::{
    compare::{at, compare},
    dynamic::{DynamicCodec, Types, from_json, generated_to_json, to_json},
    server::{Addresses, Server, Transport},
};

const POLL_TIME_MAX: Duration = Duration::from_secs(20);
const POLL_PAUSE: Duration = Duration::from_millis(20);
const EVENTS_TIME_MAX: Duration = Duration::from_secs(60);

type Outcome = Result<Value, Status>;

pub struct Case {
    types: Arc<Types>,
    server: Server,
    addresses: Addresses,
    /// By their client id.
    channels: HashMap<Option<String>, Channel>,
    variables: HashMap<String, Value>,
}

impl Case {
    pub async fn run(types: Arc<Types>, case: Value, transport: Transport) -> Result<(), String> {
        let case = Members::of(&case, &["name", "options", "steps"])?;
        let (server, addresses) = Server::start(case.get("options"), transport).await?;
        let mut run = Self { types, server, addresses, channels: HashMap::new(), variables: HashMap::new() };
        for (index, step) in case.list("steps").iter().enumerate() {
            run.step(step).await.map_err(|error| format!("step {index}: {error}"))?;
        }
        run.server.end().await
    }

    async fn step(&mut self, step: &Value) -> Result<(), String> {
        if step.get("subscribe").is_some() {
            self.subscribe(step).await
        } else if step.get("parallel").is_some() {
            self.parallel(step).await
        } else {
            self.call_or_command(step).await
        }
    }

    async fn steps(&mut self, steps: &[Value]) -> Result<(), String> {
        for step in steps {
            self.call_or_command(step).await?;
        }
        Ok(())
    }

    /// The steps that other steps may contain.
    async fn call_or_command(&mut self, step: &Value) -> Result<(), String> {
        let step = &self.substitute(step);
        if step.get("server").is_some() {
            let step = Members::of(step, &["server", "rows"])?;
            let rows = self.server.command(step.get("server")).await?;
            return match step.get("rows") {
                Value::Null => Ok(()),
                expected => compare(expected, &rows, "rows"),
            };
        }
        let call = Members::of(step, CALL_MEMBERS)?;
        if call.get("poll") != &json!(true) {
            return self.call(&call).await;
        }
        let started = Instant::now();
        loop {
            match self.call(&call).await {
                Err(_) if started.elapsed() < POLL_TIME_MAX => sleep(POLL_PAUSE).await,
                result => return result,
            }
        }
    }

    async fn call(&mut self, call: &Members<'_>) -> Result<(), String> {
        let started = self.start(call)?;
        yield_now().await;
        if call.get("cancel") == &json!(true) {
            started.abort();
        }
        // Boxed because these steps may be calls again.
        Box::pin(self.steps(call.list("meanwhile"))).await?;
        let outcome = end(started).await?;
        check(call.get("expect"), &outcome).map_err(|error| format!("{}: {error}", call.text("call")))?;
        for (name, path) in call.map("save") {
            let response = outcome.as_ref().map_err(ToString::to_string)?;
            let path = path.as_str().unwrap_or_default();
            let value = at(response, path).ok_or_else(|| format!("there is no {path} to save in {response}"))?;
            self.variables.insert(name.clone(), value.clone());
        }
        Ok(())
    }

    async fn parallel(&mut self, step: &Value) -> Result<(), String> {
        let step = self.substitute(step);
        let step = Members::of(&step, &["parallel", "times", "codes"])?;
        let mut calls = Vec::new();
        for _ in 0..step.get("times").as_u64().unwrap_or(1) {
            for call in step.list("parallel") {
                let call = Members::of(call, CALL_MEMBERS)?;
                calls.push((self.start(&call)?, call));
            }
        }
        let mut codes = Map::new();
        for (started, call) in calls {
            let outcome = end(started).await?;
            let code = name_of(outcome.as_ref().map_or_else(Status::code, |_| Code::Ok));
            let count = codes.entry(code).or_insert(json!(0));
            *count = json!(count.as_u64().unwrap_or_default() + 1);
            if step.get("codes").is_null() {
                check(call.get("expect"), &outcome).map_err(|error| format!("{}: {error}", call.text("call")))?;
            }
        }
        match step.get("codes") {
            Value::Null => Ok(()),
            // Exactly these: more than is expected would be other codes.
            expected if expected.as_object() == Some(&codes) => Ok(()),
            expected => Err(format!("the calls ended with {}, expected {expected}", Value::Object(codes))),
        }
    }

    /// Starts a call as its users would.
    fn start(&mut self, call: &Members<'_>) -> Result<JoinHandle<Outcome>, String> {
        let path = call.text("call").to_owned();
        let (input, output) = self.types.method(&path);
        let body = match call.get("request") {
            Value::Null => json!({}),
            request => request.clone(),
        };
        let mut request = Request::new(from_json(input, &body)?);
        if let Some(ms) = call.get("timeout_ms").as_u64() {
            request.set_timeout(Duration::from_millis(ms));
        }
        if let Some(id) = call.get("request_id").as_str() {
            let value = BinaryMetadataValue::from_bytes(&unhex(id)?);
            request.metadata_mut().insert_bin("x-request-id-bin", value);
        }
        for (key, value) in call.map("metadata") {
            let key = AsciiMetadataKey::from_bytes(key.as_bytes()).map_err(|error| error.to_string())?;
            let value = MetadataValue::<Ascii>::try_from(value.as_str().unwrap_or_default().as_bytes());
            request.metadata_mut().insert(key, value.map_err(|error| error.to_string())?);
        }
        let mut client = tonic::client::Grpc::new(self.channel(call.get("client_id").as_str())?);
        Ok(tokio::spawn(async move {
            let path = path.parse().map_err(|_| Status::internal("the path is malformed"))?;
            let response = client.unary(request, path, DynamicCodec(output)).await?;
            to_json(response.get_ref()).map_err(Status::internal)
        }))
    }

    fn channel(&mut self, client_id: Option<&str>) -> Result<Channel, String> {
        let key = client_id.map(str::to_owned);
        if !self.channels.contains_key(&key) {
            let mut builder = self.addresses.channel(true);
            if let Some(client_id) = client_id {
                builder = builder.client_id(client_id);
            }
            self.channels.insert(key.clone(), builder.build().map_err(|error| error.to_string())?);
        }
        Ok(self.channels[&key].clone())
    }

    async fn subscribe(&mut self, step: &Value) -> Result<(), String> {
        let step = &self.substitute(step);
        let step = Members::of(step, SUBSCRIBE_MEMBERS)?;
        let channel = match step.get("events_address") {
            Value::Bool(false) => self.addresses.channel(false).build().map_err(|error| error.to_string())?,
            _ => self.channel(None)?,
        };
        let request = from_json(self.types.message("tradebook.v1.SubscribeRequest"), step.get("subscribe"))?;
        let mut request = Request::new(
            v1::SubscribeRequest::decode(request.encode_to_vec().as_slice()).expect("it was encoded now"),
        );
        if let Some(ms) = step.get("timeout_ms").as_u64() {
            request.set_timeout(Duration::from_millis(ms));
        }
        let (sender, mut events) = watch::channel(Vec::new());
        let stream = tokio::spawn(read(channel, request, sender));
        self.steps(step.list("meanwhile")).await?;

        let count = usize::try_from(step.get("count").as_u64().unwrap_or_default()).unwrap_or_default();
        let expect = Members::of(step.get("expect"), STREAM_EXPECT_MEMBERS)?;
        if expect.get("code").is_null() {
            let have_come = events.wait_for(|events| events.len() >= count);
            let have_come = matches!(timeout(EVENTS_TIME_MAX, have_come).await, Ok(Ok(_)));
            if !have_come {
                let ended = if stream.is_finished() { format!(", and {:?}", stream.await) } else { String::new() };
                return Err(format!("{} of {count} events came{ended}", events.borrow().len()));
            }
            self.steps(step.list("after")).await?;
            stream.abort();
            if let Ok(status) = stream.await {
                return Err(format!("the stream ended by itself: {status:?}"));
            }
        } else {
            let status = timeout(EVENTS_TIME_MAX, stream).await.map_err(|_| "the stream has not ended")?;
            check_status(&expect, &status.map_err(|error| error.to_string())?)?;
        }
        let events = events.borrow().clone();
        if events.len() != count {
            return Err(format!("{} events came, expected {count}", events.len()));
        }
        self.check_events(&expect, &events)
    }

    fn check_events(&self, expect: &Members<'_>, events: &[v1::Event]) -> Result<(), String> {
        let sequences: Vec<i64> = events.iter().map(v1::Event::sequence).collect();
        if let Some(first) = expect.get("first").as_i64() {
            let wrong = sequences.iter().zip(first..).find(|(sequence, expected)| *sequence != expected);
            if let Some((sequence, expected)) = wrong {
                return Err(format!("event {sequence} came, expected {expected}"));
            }
        }
        if !expect.get("sequences").is_null() {
            compare(expect.get("sequences"), &json!(sequences), "sequences")?;
        }
        if !expect.get("events").is_null() {
            let event = self.types.message("tradebook.v1.Event");
            let events: Vec<Value> =
                events.iter().map(|one| generated_to_json(event.clone(), one)).collect::<Result<_, _>>()?;
            compare(expect.get("events"), &Value::Array(events), "events")?;
        }
        Ok(())
    }

    fn substitute(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.substitute_text(text),
            Value::Array(list) => list.iter().map(|value| self.substitute(value)).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), self.substitute(value))).collect()
            }
            other => other.clone(),
        }
    }

    fn substitute_text(&self, text: &str) -> Value {
        let mut text = text.to_owned();
        for (name, value) in &self.variables {
            let variable = format!("${{{name}}}");
            if text == variable {
                return value.clone();
            }
            if let Some(value) = value.as_str() {
                text = text.replace(&variable, value);
            }
        }
        Value::String(text)
    }
}

/// Reads a stream to its end and answers its status.
async fn read(
    channel: Channel,
    request: Request<v1::SubscribeRequest>,
    events: watch::Sender<Vec<v1::Event>>,
) -> Status {
    let mut stream = match EventServiceClient::new(channel).subscribe(request).await {
        Ok(response) => response.into_inner(),
        Err(status) => return status,
    };
    loop {
        match stream.message().await {
            Ok(Some(event)) => events.send_modify(|events| events.push(event)),
            Ok(None) => return Status::ok(""),
            Err(status) => return status,
        }
    }
}

/// How a call ended; an error when the client has failed in itself.
async fn end(call: JoinHandle<Outcome>) -> Result<Outcome, String> {
    match call.await {
        Ok(outcome) => Ok(outcome),
        Err(error) if error.is_cancelled() => Ok(Err(Status::cancelled("the call was dropped"))),
        Err(error) => Err(error.to_string()),
    }
}

fn check(expect: &Value, outcome: &Outcome) -> Result<(), String> {
    let expect = Members::of(expect, EXPECT_MEMBERS)?;
    check_status(&expect, &outcome.as_ref().map_or_else(Clone::clone, |_| Status::ok("")))?;
    let none = json!({});
    let response = outcome.as_ref().unwrap_or(&none);
    if !expect.get("response").is_null() {
        compare(expect.get("response"), response, "response")?;
    }
    for path in expect.list("present").iter().filter_map(Value::as_str) {
        at(response, path).ok_or_else(|| format!("{path} is absent in {response}"))?;
    }
    for path in expect.list("absent").iter().filter_map(Value::as_str) {
        if at(response, path).is_some() {
            return Err(format!("{path} is present in {response}"));
        }
    }
    Ok(())
}

fn check_status(expect: &Members<'_>, status: &Status) -> Result<(), String> {
    let code = expect.get("code").as_str().unwrap_or("OK");
    if name_of(status.code()) != code {
        return Err(format!("it ended with {status:?}, expected {code}"));
    }
    let part = expect.text("message_contains");
    if !status.message().contains(part) {
        return Err(format!("the message is {:?}, expected {part:?} in it", status.message()));
    }
    if !expect.get("violations").is_null() {
        let bad_request = status.get_details_bad_request();
        let violations = bad_request.iter().flat_map(|bad_request| &bad_request.field_violations);
        let mut fields: Vec<&str> = violations.map(|violation| violation.field.as_str()).collect();
        let mut expected: Vec<&str> = expect.list("violations").iter().filter_map(Value::as_str).collect();
        fields.sort_unstable();
        expected.sort_unstable();
        if fields != expected {
            return Err(format!("the violations are {fields:?}, expected {expected:?}"));
        }
    }
    if !expect.get("details").is_null() {
        compare(expect.get("details"), &details(status)?, "details")?;
    }
    Ok(())
}

/// The details that are no violations.
fn details(status: &Status) -> Result<Value, String> {
    let types = Types::new();
    let status = tonic_types::pb::Status::decode(status.details()).map_err(|error| error.to_string())?;
    let others = status.details.iter().filter(|detail| !detail.type_url.ends_with("/google.rpc.BadRequest"));
    others.map(|detail| generated_to_json(types.message("google.protobuf.Any"), detail)).collect()
}

fn name_of(code: Code) -> String {
    let code = v1::Code::try_from(i32::from(code)).expect("the codes are those of gRPC");
    code.as_str_name().trim_start_matches("CODE_").to_owned()
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
    (0..text.len())
        .step_by(2)
        .map(|at| text.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok()))
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{text} is not hexadecimal"))
}

const CALL_MEMBERS: &[&str] = &[
    "call",
    "request",
    "timeout_ms",
    "request_id",
    "metadata",
    "client_id",
    "cancel",
    "meanwhile",
    "poll",
    "expect",
    "save",
];
const EXPECT_MEMBERS: &[&str] =
    &["code", "message_contains", "violations", "details", "response", "present", "absent"];
const SUBSCRIBE_MEMBERS: &[&str] =
    &["subscribe", "count", "events_address", "timeout_ms", "meanwhile", "after", "expect"];
const STREAM_EXPECT_MEMBERS: &[&str] = &["first", "sequences", "events", "code", "message_contains"];

/// An object of a case; `null` is taken as one without members.
struct Members<'a>(Option<&'a Map<String, Value>>);

impl<'a> Members<'a> {
    /// An error names a member that is not known.
    fn of(value: &'a Value, known: &[&str]) -> Result<Self, String> {
        let members = value.as_object();
        if members.is_none() && !value.is_null() {
            return Err(format!("{value} is not an object"));
        }
        match members.into_iter().flat_map(Map::keys).find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(format!("this runner does not know the member {name} of {value}")),
            None => Ok(Self(members)),
        }
    }

    fn get(&self, name: &str) -> &'a Value {
        self.0.and_then(|members| members.get(name)).unwrap_or(&Value::Null)
    }

    fn text(&self, name: &str) -> &'a str {
        self.get(name).as_str().unwrap_or_default()
    }

    fn list(&self, name: &str) -> &'a [Value] {
        self.get(name).as_array().map(Vec::as_slice).unwrap_or_default()
    }

    fn map(&self, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.get(name).as_object().into_iter().flatten()
    }
}
