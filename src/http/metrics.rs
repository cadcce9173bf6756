//! `/metrics`, for Prometheus: for this machine, or for whoever has the configured token.

use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Data, ServiceConfig, resource, to};
use actix_web::{HttpRequest, HttpResponse};

use super::api::wrong_method;
use super::arrival::Arrived;
use super::authorization;
use crate::app::App;
use crate::model::error::in_full;
use crate::services::metrics::{self, Family, Kind, Labels, Steps, Value};

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(resource("/metrics").get(show).default_service(to(wrong_method)));
}

async fn show(req: HttpRequest, app: Data<App>) -> HttpResponse {
    if !may_see(&req, &app) {
        return plain(HttpResponse::Forbidden())
            .body("Metrics are for this machine, or for `Authorization: Bearer` with the token that [metrics] token sets.\n");
    }
    match metrics::gather(&app).await {
        Ok(families) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
            .insert_header((CACHE_CONTROL, "no-store"))
            .body(text(&families)),
        Err(err) => {
            tracing::error!(error = in_full(&err), "the metrics could not be gathered");
            plain(HttpResponse::ServiceUnavailable()).body("The metrics could not be gathered; the log says why.\n")
        }
    }
}

fn plain(mut response: actix_web::HttpResponseBuilder) -> actix_web::HttpResponseBuilder {
    response.insert_header((CONTENT_TYPE, "text/plain; charset=utf-8")).insert_header((CACHE_CONTROL, "no-store"));
    response
}

/// The connection itself must come from this machine, and not pass on what another said: a proxy on this machine is no
/// reason to show its clients anything.
fn may_see(req: &HttpRequest, app: &App) -> bool {
    let peer_is_here = req.peer_addr().is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    if peer_is_here && !req.arrival().client.forwarded {
        return true;
    }
    let sent = req.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(authorization::bearer);
    req.arrival().is_private(&app.config)
        && sent.is_some_and(|sent| app.config.metrics.token.as_ref().is_some_and(|token| token.is(sent)))
}

/// Prometheus' text format, version 0.0.4.
fn text(families: &[(&Family, Value)]) -> String {
    let mut text = String::new();
    for (family, value) in families {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let name = family.name;
        text += &format!("# HELP {name} {}\n# TYPE {name} {kind}\n", family.help);
        match value {
            Value::Numbers(numbers) => numbers.iter().for_each(|(labels, value)| text += &line(name, labels, None, *value)),
            Value::Steps(several) => {
                for Steps { labels, steps, sum } in several {
                    let mut upto = 0;
                    for (end, count) in steps {
                        upto += count;
                        text += &line(&format!("{name}_bucket"), labels, Some(*end), upto as f64);
                    }
                    text += &line(&format!("{name}_sum"), labels, None, *sum);
                    text += &line(&format!("{name}_count"), labels, None, upto as f64);
                }
            }
        }
    }
    text
}

fn line(name: &str, labels: &Labels, end: Option<f64>, value: f64) -> String {
    let end = end.map(|end| ("le", if end.is_infinite() { "+Inf".to_owned() } else { end.to_string() }));
    let all: Vec<String> = labels.iter().chain(&end).map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    let all = if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) };
    format!("{name}{all} {value}\n")
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}
