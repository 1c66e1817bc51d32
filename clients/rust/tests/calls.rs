//! What a channel sends, and what it makes of what it is sent.

mod support;

use std::time::Duration;

use prost::Message;
use support::{Listener, PUB, REP};
use tokio::{join, net::TcpListener, time::timeout};
use tonic::{Code, Request, Status, metadata::MetadataValue};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};
use tonic_types::StatusExt;
use tradebook_client::{
    Builder, Channel,
    v1::{self, admin_service_client::AdminServiceClient, signal_service_client::SignalServiceClient},
};

/// Only a failing test takes so long.
const TIME_MAX: Duration = Duration::from_secs(30);

/// How a call ends while the server plays its part; both have to come to their end.
async fn served<T>(call: impl Future<Output = T>, server: impl Future<Output = ()>) -> T {
    let both = async { join!(call, server).0 };
    timeout(TIME_MAX, both).await.expect("the call and the server end")
}

fn channel(listener: &Listener) -> Channel {
    Channel::new(listener.address()).unwrap()
}

fn admin(builder: Builder) -> AdminServiceClient<Channel> {
    AdminServiceClient::new(builder.build().unwrap())
}

fn echo() -> v1::EchoRequest {
    v1::EchoRequest { payload: Some(b"hello".to_vec()) }
}

fn create() -> v1::CreateSignalRequest {
    v1::CreateSignalRequest::default()
}

#[tokio::test]
async fn an_envelope_says_who_calls_what_and_until_when() {
    let listener = Listener::new().await;
    let mut client = admin(
        Channel::builder(listener.address()).token("secret").client_id("bot").timeout(Duration::from_secs(7)),
    );
    let server = async {
        let mut peer = listener.accept(REP).await;
        let request = peer.request().await;
        assert_eq!(request.envelope.method(), "/tradebook.v1.AdminService/Echo");
        assert_eq!(request.message::<v1::EchoRequest>(), echo());
        assert!((6_000..=7_000).contains(&request.envelope.timeout_ms()));
        assert_eq!(request.metadata("authorization"), [b"Bearer secret"]);
        assert_eq!(request.metadata("client-id"), [b"bot"]);
        assert_eq!(request.envelope.metadata.len(), 2);
        peer.reply(&request, &v1::EchoResponse { payload: Some(b"hello".to_vec()) }).await;
    };
    let response = served(client.echo(echo()), server).await;
    assert_eq!(response.unwrap().into_inner().payload(), b"hello");
}

#[tokio::test]
async fn metadata_of_a_call_and_of_interceptors_is_sent_and_wins() {
    let listener = Listener::new().await;
    let channel = Channel::builder(listener.address()).token("secret").build().unwrap();
    let mut client = AdminServiceClient::with_interceptor(channel, |mut request: Request<()>| {
        request.metadata_mut().insert("trace-id", MetadataValue::from_static("abc"));
        Ok(request)
    });
    let mut call = Request::new(echo());
    call.set_timeout(Duration::from_millis(1500));
    call.metadata_mut().insert("authorization", MetadataValue::from_static("Basic x"));
    call.metadata_mut().insert_bin("raw-bin", MetadataValue::from_bytes(&[0, 255]));
    let server = async {
        let mut peer = listener.accept(REP).await;
        let request = peer.request().await;
        assert_eq!(request.metadata("trace-id"), [b"abc"]);
        assert_eq!(request.metadata("authorization"), [b"Basic x"]);
        assert_eq!(request.metadata("raw-bin"), [&[0, 255]]);
        assert_eq!(request.envelope.metadata.len(), 3);
        assert!((500..=1500).contains(&request.envelope.timeout_ms()));
        peer.reply(&request, &v1::EchoResponse::default()).await;
    };
    served(client.echo(call), server).await.unwrap();
}

#[tokio::test]
async fn an_interceptor_that_refuses_sends_nothing() {
    let refuse = |_: Request<()>| Err(Status::permission_denied("not today"));
    let mut client = AdminServiceClient::with_interceptor(Channel::new("tcp://127.0.0.1:1").unwrap(), refuse);
    assert_eq!(client.echo(echo()).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_time_without_end_is_none() {
    let listener = Listener::new().await;
    let mut client = admin(Channel::builder(listener.address()).timeout(Duration::MAX));
    let server = async {
        let mut peer = listener.accept(REP).await;
        let request = peer.request().await;
        peer.reply(&request, &v1::EchoResponse::default()).await;
    };
    served(client.echo(echo()), server).await.unwrap();
}

#[tokio::test]
async fn only_writes_carry_a_request_id_and_each_its_own() {
    let listener = Listener::new().await;
    let mut reads = AdminServiceClient::new(channel(&listener));
    let mut writes = SignalServiceClient::new(channel(&listener));
    let calls = async {
        reads.echo(echo()).await.unwrap();
        writes.create_signal(create()).await.unwrap();
        writes.create_signal(create()).await.unwrap();
    };
    let server = async {
        let mut peer = listener.accept(REP).await;
        let request = peer.request().await;
        assert_eq!(request.envelope.request_id, None);
        peer.reply(&request, &v1::EchoResponse::default()).await;
        let mut peer = listener.accept(REP).await;
        let mut ids = Vec::new();
        for _ in 0..2 {
            let request = peer.request().await;
            ids.push(request.envelope.request_id.clone().unwrap());
            peer.reply(&request, &v1::Signal::default()).await;
        }
        assert!(ids.iter().all(|id| id.len() == 16 && id[6] >> 4 == 7), "{ids:?} are no UUIDs of version 7");
        assert!(ids[0] < ids[1], "{ids:?} do not grow");
    };
    join!(calls, server);
}

#[tokio::test]
async fn a_request_id_of_the_caller_is_no_metadata() {
    let listener = Listener::new().await;
    let mut client = SignalServiceClient::new(channel(&listener));
    let mut call = Request::new(create());
    call.metadata_mut().insert_bin("x-request-id-bin", MetadataValue::from_bytes(b"sixteen bytes of"));
    let server = async {
        let mut peer = listener.accept(REP).await;
        let request = peer.request().await;
        assert_eq!(request.envelope.request_id.as_deref(), Some(&b"sixteen bytes of"[..]));
        assert!(request.envelope.metadata.is_empty());
        peer.reply(&request, &v1::Signal::default()).await;
    };
    served(client.create_signal(call), server).await.unwrap();
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_the_request_sent_with_the_same_id() {
    let listener = Listener::new().await;
    let mut client = SignalServiceClient::new(channel(&listener));
    let server = async {
        let lost = listener.accept(REP).await.request().await;
        let mut peer = listener.accept(REP).await;
        let request = peer.request().await;
        assert!(lost.envelope.request_id.is_some());
        assert_eq!(request.envelope.request_id, lost.envelope.request_id);
        peer.reply(&request, &v1::Signal { id: Some(5), ..Default::default() }).await;
    };
    let response = served(client.create_signal(create()), server).await;
    assert_eq!(response.unwrap().into_inner().id(), 5);
}

#[tokio::test]
async fn unavailable_is_tried_again_and_nothing_else() {
    let listener = Listener::new().await;
    let mut client = SignalServiceClient::new(channel(&listener));
    let server = async {
        let mut peer = listener.accept(REP).await;
        let first = peer.request().await;
        peer.refuse(&first, v1::Code::Unavailable, "stopping").await;
        let second = peer.request().await;
        assert_eq!(second.envelope.request_id, first.envelope.request_id);
        peer.refuse(&second, v1::Code::Aborted, "100 % no\nreally").await;
    };
    let response = served(client.create_signal(create()), server).await;
    let status = response.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Aborted, "100 % no\nreally"));
}

#[tokio::test]
async fn unavailable_until_the_end_is_what_the_server_said() {
    let listener = Listener::new().await;
    let mut client = SignalServiceClient::new(channel(&listener));
    let mut call = Request::new(create());
    call.set_timeout(Duration::from_millis(200));
    let server = async {
        let mut peer = listener.accept(REP).await;
        loop {
            let request = peer.request().await;
            peer.refuse(&request, v1::Code::Unavailable, "outcome unknown").await;
        }
    };
    let status = tokio::select! {
        response = client.create_signal(call) => response.unwrap_err(),
        () = server => unreachable!(),
    };
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "outcome unknown"));
}

#[tokio::test]
async fn replies_find_their_calls_in_any_order() {
    let listener = Listener::new().await;
    let client = AdminServiceClient::new(channel(&listener));
    let call = |byte: u8| {
        let mut client = client.clone();
        async move { client.echo(v1::EchoRequest { payload: Some(vec![byte]) }).await.unwrap().into_inner() }
    };
    let server = async {
        let mut peer = listener.accept(REP).await;
        let requests = [peer.request().await, peer.request().await, peer.request().await];
        for request in requests.iter().rev() {
            let payload = request.message::<v1::EchoRequest>().payload;
            peer.reply(request, &v1::EchoResponse { payload }).await;
        }
    };
    let (a, b, c, ()) = join!(call(1), call(2), call(3), server);
    assert_eq!([a.payload(), b.payload(), c.payload()], [[1], [2], [3]]);
}

#[tokio::test]
async fn the_reply_to_a_dropped_call_is_ignored() {
    let listener = Listener::new().await;
    let client = AdminServiceClient::new(channel(&listener));
    let dropped = tokio::spawn({
        let mut client = client.clone();
        async move { client.echo(echo()).await }
    });
    let mut peer = listener.accept(REP).await;
    let late = peer.request().await;
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    let mut client = client;
    let server = async {
        let request = peer.request().await;
        peer.reply(&late, &v1::EchoResponse { payload: Some(b"late".to_vec()) }).await;
        peer.reply(&request, &v1::EchoResponse { payload: Some(b"right".to_vec()) }).await;
    };
    let response = served(client.echo(echo()), server).await;
    assert_eq!(response.unwrap().into_inner().payload(), b"right");
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_given_up_in_time() {
    let listener = Listener::new().await;
    let mut client = SignalServiceClient::new(channel(&listener));
    let mut call = Request::new(create());
    call.set_timeout(Duration::from_secs(4));
    let server = async {
        let mut silent = listener.accept(REP).await;
        let first = silent.request().await;
        let mut peer = listener.accept(REP).await;
        let second = peer.request().await;
        assert_eq!(second.envelope.request_id, first.envelope.request_id);
        peer.reply(&second, &v1::Signal::default()).await;
    };
    served(client.create_signal(call), server).await.unwrap();
}

#[tokio::test]
async fn a_reply_that_cannot_be_read_is_internal() {
    let listener = Listener::new().await;
    let mut client = AdminServiceClient::new(channel(&listener));
    let server = async {
        let mut peer = listener.accept(REP).await;
        let request = peer.request().await;
        peer.reply_bytes(&request, &[0xff]).await;
    };
    let response = served(client.echo(echo()), server).await;
    assert_eq!(response.unwrap_err().code(), Code::Internal);
}

#[tokio::test]
async fn a_frame_beyond_the_limit_costs_the_connection() {
    let listener = Listener::new().await;
    let mut client = AdminServiceClient::new(channel(&listener));
    let server = async {
        let mut hostile = listener.accept(REP).await;
        hostile.request().await;
        hostile.send_length(1 << 40).await;
        let mut peer = listener.accept(REP).await;
        let request = peer.request().await;
        peer.reply(&request, &v1::EchoResponse::default()).await;
    };
    served(client.echo(echo()), server).await.unwrap();
}

#[tokio::test]
async fn an_address_of_another_kind_is_named() {
    let listener = Listener::new().await;
    let mut client = AdminServiceClient::new(channel(&listener));
    let mut call = Request::new(echo());
    call.set_timeout(Duration::from_millis(300));
    let server = async {
        loop {
            listener.accept(PUB).await;
        }
    };
    let status = tokio::select! {
        response = client.echo(call) => response.unwrap_err(),
        () = server => unreachable!(),
    };
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("is no tradebook call address"), "{status:?}");
}

#[tokio::test]
async fn without_a_server_the_status_says_where_and_why() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("tcp://{}", listener.local_addr().unwrap())
    };
    let mut client = admin(Channel::builder(&address).timeout(Duration::from_millis(100)));
    let status = client.echo(echo()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains(&address) && status.message().contains("refused"), "{status:?}");
}

#[tokio::test]
async fn details_come_as_the_ecosystem_reads_them() {
    let listener = Listener::new().await;
    let mut client = SignalServiceClient::new(channel(&listener));
    let violation =
        v1::FieldViolation { field: Some("signal.symbol".into()), description: Some("is empty".into()) };
    let server = async {
        let mut peer = listener.accept(REP).await;
        let request = peer.request().await;
        let detail = prost_types::Any {
            type_url: "type.googleapis.com/google.rpc.BadRequest".into(),
            value: v1::BadRequest { field_violations: vec![violation] }.encode_to_vec(),
        };
        let reply = v1::Reply {
            code: Some(v1::Code::InvalidArgument.into()),
            message: Some("signal.symbol: is empty".into()),
            details: vec![detail],
            payload: None,
        };
        peer.reply_bytes(&request, &reply.encode_to_vec()).await;
    };
    let response = served(client.create_signal(create()), server).await;
    let violations = response.unwrap_err().get_details_bad_request().unwrap().field_violations;
    assert_eq!((violations[0].field.as_str(), violations[0].description.as_str()), ("signal.symbol", "is empty"));
}

#[tokio::test]
async fn the_standard_health_client_works() {
    let listener = Listener::new().await;
    let mut client = HealthClient::new(channel(&listener));
    let server = async {
        let mut peer = listener.accept(REP).await;
        let request = peer.request().await;
        assert_eq!(request.envelope.method(), "/grpc.health.v1.Health/Check");
        assert_eq!(request.envelope.request_id, None);
        peer.reply(&request, &HealthCheckResponse { status: 1 }).await;
    };
    let response = served(client.check(HealthCheckRequest::default()), server).await;
    assert_eq!(response.unwrap().into_inner().status, 1);
}

#[test]
fn wrong_options_are_refused_before_anything_is_sent() {
    for builder in [
        Channel::builder("http://127.0.0.1"),
        Channel::builder("tcp://127.0.0.1:7601").events_address("nowhere"),
        Channel::builder("tls+tcp://127.0.0.1:7601"),
    ] {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains("nowhere") || error.contains("127.0.0.1"), "{error}");
    }
}
