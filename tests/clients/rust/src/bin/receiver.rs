//! Takes webhooks of Keyrack, and refuses what is not from there.

use http::HeaderMap;
use standardwebhooks::Webhook;
use tiny_http::{Response, Server};

fn main() {
    let webhook = Webhook::new(&std::env::var("KEYRACK_WEBHOOK_SECRET").unwrap()).unwrap();
    let server = Server::http(format!("127.0.0.1:{}", std::env::var("PORT").unwrap())).unwrap();
    for mut request in server.incoming_requests() {
        // The bytes as they came: a body that was parsed and written again has another signature.
        let mut body = Vec::new();
        request.as_reader().read_to_end(&mut body).unwrap();
        let mut headers = HeaderMap::new();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            let sent = request.headers().iter().find(|header| header.field.equiv(name));
            if let Some(value) = sent.and_then(|header| header.value.as_str().parse().ok()) {
                headers.insert(name, value);
            }
        }
        let status = match webhook.verify(&body, &headers) {
            Ok(()) => {
                let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
                println!("{} {}", event["type"].as_str().unwrap(), headers["webhook-id"].to_str().unwrap());
                204
            }
            Err(_) => 401,
        };
        request.respond(Response::empty(status)).unwrap();
    }
}
