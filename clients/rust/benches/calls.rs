//! Calls per second and latency of Echo and of durable `CreateSignal`, with 1 and 64 calls in flight, against the server
//! at `$TRADEBOOK_ADDRESS`. Whatever it creates has the model version "bench".

use std::{
    env,
    error::Error,
    time::{Duration, Instant},
};

use tonic::Status;
use tradebook_client::{
    Channel,
    v1::{
        CreateSignalRequest, Direction, EchoRequest, Signal, Tier, admin_service_client::AdminServiceClient,
        signal_service_client::SignalServiceClient,
    },
};

const WARM_UP: Duration = Duration::from_millis(500);
const MEASURED: Duration = Duration::from_secs(3);
const PAYLOAD_BYTES: usize = 128;

#[derive(Debug, Clone, Copy)]
enum Operation {
    Echo,
    Create,
}

impl Operation {
    async fn call(self, channel: Channel) -> Result<(), Status> {
        match self {
            Self::Echo => {
                let request = EchoRequest { payload: Some(vec![7; PAYLOAD_BYTES]) };
                AdminServiceClient::new(channel).echo(request).await?;
            }
            Self::Create => {
                let signal = Signal {
                    symbol: Some("BTC-USD".into()),
                    direction: Some(Direction::Long.into()),
                    tier: Some(Tier::High.into()),
                    confidence: Some(0.72),
                    ensemble_prediction: Some(0.64),
                    model_version: Some("bench".into()),
                    ..Default::default()
                };
                let request = CreateSignalRequest { signal: Some(signal) };
                SignalServiceClient::new(channel).create_signal(request).await?;
            }
        }
        Ok(())
    }
}

/// Keeps so many calls under way; answers their latencies, shortest first.
async fn run(
    operation: Operation,
    channel: &Channel,
    in_flight: usize,
    duration: Duration,
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let end = Instant::now() + duration;
    let start = |_| {
        let channel = channel.clone();
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            while Instant::now() < end {
                let started = Instant::now();
                operation.call(channel.clone()).await?;
                latencies.push(started.elapsed());
            }
            Ok::<_, Status>(latencies)
        })
    };
    let running: Vec<_> = (0..in_flight).map(start).collect();
    let mut latencies = Vec::new();
    for one in running {
        latencies.extend(one.await??);
    }
    latencies.sort_unstable();
    Ok(latencies)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = env::var("TRADEBOOK_ADDRESS").map_err(|_| "set TRADEBOOK_ADDRESS to the server's address")?;
    let channel = Channel::new(address)?;
    println!("{:<10}{:>10}{:>12}{:>12}{:>12}", "operation", "in flight", "calls/s", "p50 µs", "p99 µs");
    for operation in [Operation::Echo, Operation::Create] {
        for in_flight in [1, 64] {
            run(operation, &channel, in_flight, WARM_UP).await?;
            let started = Instant::now();
            let latencies = run(operation, &channel, in_flight, MEASURED).await?;
            #[allow(clippy::cast_precision_loss, reason = "a figure to be looked at")]
            let rate = latencies.len() as f64 / started.elapsed().as_secs_f64();
            let percentile = |percent: usize| latencies[(latencies.len() - 1) * percent / 100].as_micros();
            let name = format!("{operation:?}");
            println!("{name:<10}{in_flight:>10}{rate:>12.0}{:>12}{:>12}", percentile(50), percentile(99));
        }
    }
    Ok(())
}
