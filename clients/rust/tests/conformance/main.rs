//! Runs `tests/conformance/cases` over every transport of this client. What the cases mean is told by the README there.
//!
//! An argument picks the cases whose name contains it.

mod case;
mod compare;
mod dynamic;
mod server;

use std::{env, fs, io, path::PathBuf, process::ExitCode, sync::Arc};

use serde_json::Value;
use tokio::sync::Semaphore;

use case::Case;
use dynamic::Types;
use server::Transport;

/// Cases that run at the same time: they mostly wait.
const CASES_AT_ONCE: usize = 4;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance")
}

fn cases() -> io::Result<Vec<Value>> {
    let mut files = fs::read_dir(folder().join("cases"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        cases.extend(serde_json::from_slice::<Vec<Value>>(&fs::read(file)?)?);
    }
    Ok(cases)
}

#[tokio::main]
async fn main() -> io::Result<ExitCode> {
    let wanted: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let types = Arc::new(Types::new());
    let mut runs = Vec::new();
    for case in cases()? {
        let name = case["name"].as_str().unwrap_or("without name").to_owned();
        if wanted.iter().all(|part| name.contains(part.as_str())) {
            for transport in [Transport::Tcp, Transport::Ipc] {
                runs.push((format!("{name} ({transport:?})"), case.clone(), transport));
            }
        }
    }
    let slots = Arc::new(Semaphore::new(CASES_AT_ONCE));
    let runs = runs.into_iter().map(|(name, case, transport)| {
        let (types, slots) = (Arc::clone(&types), Arc::clone(&slots));
        let run = tokio::spawn(async move {
            let _slot = slots.acquire().await;
            Case::run(types, case, transport).await
        });
        (name, run)
    });
    let (mut passed, mut failed) = (0, 0);
    for (name, run) in runs.collect::<Vec<_>>() {
        let result = run.await.map_err(|error| error.to_string()).flatten();
        match result {
            Ok(()) => {
                passed += 1;
                println!("test {name} ... ok");
            }
            Err(error) => {
                failed += 1;
                println!("test {name} ... FAILED\n{error}");
            }
        }
    }
    let is_good = failed == 0 && passed > 0;
    println!("\ntest result: {}. {passed} passed; {failed} failed", if is_good { "ok" } else { "FAILED" });
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
