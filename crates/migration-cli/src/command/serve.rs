//! `serve`: where each service is, over HTTP, until it is stopped. Reads only.

use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::sync::Arc;

use migration_coordinator::Cancellation;
use migration_report::Class;
use migration_serve::{Watch, page, router};
use tokio::net::TcpListener;

use super::connect;
use crate::context::Context;
use crate::exit::Failure;
use crate::output::{Answer, Text};
use crate::words::OurWords;

pub(super) async fn serve(
    context: &Context,
    listen: SocketAddr,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let refused = |error| {
        let hint = "name an address of this machine and a free port with `--listen`";
        Failure::usage(format!("cannot listen on {listen}: {error}"), hint)
    };
    // Before a private server is started for nothing.
    let listener = TcpListener::bind(listen).await.map_err(refused)?;
    let connected = connect(context)?;
    let address = listener.local_addr()?;
    let mut text = Text::default();
    text.note(format!("serving http://{address}/ until it is stopped"));
    if !address.ip().is_loopback() {
        let paint = context.output.paint;
        text.note(format!(
            "{} whoever reaches {address} can read it: nobody has to log in",
            paint.warn("note")
        ));
    }
    context.output.say(&text);
    let watch = Watch::in_words(ManuallyDrop::into_inner(connected.deployment), OurWords);
    let routes = router(Arc::clone(&watch)).merge(page(Arc::clone(&watch)));
    let stop = cancellation.clone();
    let stopped = async move {
        stop.cancelled().await;
        watch.close();
    };
    migration_serve::serve(listener, routes, stopped).await?;
    Ok(Answer::silent(Class::Done))
}
