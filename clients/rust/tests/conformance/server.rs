//! The server of a case, driven by lines of JSON.

use std::{io, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};
use tradebook_client::{Builder, Channel};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Ipc,
}

pub struct Server {
    process: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// Where a server is.
#[derive(Clone)]
pub struct Addresses {
    calls: String,
    events: String,
}

impl Addresses {
    pub fn channel(&self, has_events: bool) -> Builder {
        let builder = Channel::builder(&self.calls);
        if has_events { builder.events_address(&self.events) } else { builder }
    }
}

impl Server {
    pub async fn start(options: &Value, transport: Transport) -> Result<(Self, Addresses), String> {
        let options: Vec<String> = match options {
            Value::Null => Vec::new(),
            options => serde_json::from_value(options.clone()).map_err(|error| format!("options: {error}"))?,
        };
        let mut process = Command::new(super::folder().join("server"))
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("tests/conformance/server: {error}"))?;
        let commands = process.stdin.take().ok_or("the server has no stdin")?;
        let answers = BufReader::new(process.stdout.take().ok_or("the server has no stdout")?).lines();
        let mut server = Self { process, commands, answers };
        let addresses = server.answer().await?;
        let (calls, events) = match transport {
            Transport::Tcp => ("address", "events_address"),
            Transport::Ipc => ("ipc", "events_ipc"),
        };
        let text = |name: &str| addresses[name].as_str().map(str::to_owned).ok_or(format!("there is no {name}"));
        let addresses = Addresses { calls: text(calls)?, events: text(events)? };
        Ok((server, addresses))
    }

    /// Does a command; answers its rows, if it has any.
    pub async fn command(&mut self, command: &Value) -> Result<Value, String> {
        let write = async |commands: &mut ChildStdin| -> io::Result<()> {
            commands.write_all(format!("{command}\n").as_bytes()).await?;
            commands.flush().await
        };
        write(&mut self.commands).await.map_err(|error| format!("the server ended: {error}"))?;
        let answer = self.answer().await?;
        if answer.get("error").is_some() {
            return Err(format!("{command}: {answer}"));
        }
        Ok(answer.get("rows").cloned().unwrap_or(json!(null)))
    }

    async fn answer(&mut self) -> Result<Value, String> {
        let line = self.answers.next_line().await.map_err(|error| error.to_string())?;
        let line = line.ok_or("the server ended")?;
        serde_json::from_str(&line).map_err(|error| format!("the server said {line:?}: {error}"))
    }

    /// Ends the server, and insists that it ends well.
    pub async fn end(self) -> Result<(), String> {
        let Self { mut process, commands, .. } = self;
        drop(commands);
        let status = process.wait().await.map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("the server ended with {status}")) }
    }
}
