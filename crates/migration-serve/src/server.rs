//! A server for the routes: connections are few, and none lasts for ever, whatever the other side does or leaves undone.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How many connections there are at a time; more wait for one to end.
const CONNECTIONS: usize = 256;

/// How long a connection may take for the head of a request, and be idle between two.
const HEAD: Duration = Duration::from_secs(5);

/// How long a connection lasts at most: one whose other side reads nothing would otherwise keep its place. A page that
/// follows what happens connects anew.
const LONGEST: Duration = Duration::from_mins(15);

/// How long open connections may take to end once the server stops.
const ENDING: Duration = Duration::from_secs(3);

/// Serves a router until it is to stop; then requests that are being answered have three seconds to end. There are 256
/// connections at a time, each of which has five seconds for the head of a request. A connection that cannot be accepted is none that
/// it ends for: the next one may be.
pub async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()> + Send + 'static) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let accepting = async {
        loop {
            let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
            match listener.accept().await {
                Ok((stream, _)) => {
                    let serving = serve_one(stream, router.clone(), stopped.clone());
                    connections.spawn(async move {
                        serving.await;
                        drop(place);
                    });
                }
                // One that went away, or for which there was no descriptor: others may fare better.
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
            while connections.try_join_next().is_some() {}
        }
    };
    tokio::select! {
        () = accepting => {}
        () = stop => {}
    }
    stopping.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    // Those that take longer end with the set.
    drop(timeout(ENDING, ended).await);
}

/// Serves one connection. How it ends concerns the other side alone.
async fn serve_one(stream: TcpStream, router: Router, mut stopped: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(router);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let stopping = async { drop(stopped.wait_for(|stopped| *stopped).await) };
    tokio::select! {
        served = timeout(LONGEST, connection.as_mut()) => drop(served),
        () = stopping => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
}
