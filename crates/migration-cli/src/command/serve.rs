//! `serve`: where each service is, over HTTP, until it is stopped. Reads only.

use std::mem::ManuallyDrop;
use std::sync::Arc;
#[cfg(feature = "rehearsal")]
use std::thread;
#[cfg(feature = "rehearsal")]
use std::time::Duration;

use migration_coordinator::Cancellation;
use migration_report::Class;
use migration_serve::{Watch, page, router};
use tokio::net::TcpListener;

use super::connect;
use crate::arguments::ServeArguments;
use crate::context::Context;
#[cfg(feature = "rehearsal")]
use crate::context::MakeServices;
use crate::exit::Failure;
use crate::output::{Answer, Text};
use crate::words::OurWords;

pub(super) async fn serve(
    context: &Context,
    arguments: &ServeArguments,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let listen = arguments.listen;
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
    #[cfg(feature = "rehearsal")]
    if let Some(every) = arguments.drift_every {
        compare_every(every, &watch, context.program.maker());
    }
    let routes = router(Arc::clone(&watch)).merge(page(Arc::clone(&watch)));
    let stop = cancellation.clone();
    let stopped = async move {
        stop.cancelled().await;
        watch.close();
    };
    migration_serve::serve(listener, routes, stopped).await;
    Ok(Answer::silent(Class::Done))
}

/// Compares the schemas again and again, in a thread of its own: starting the other server takes seconds in which the page has to
/// answer. The thread ends with the process, and that server with it.
#[cfg(feature = "rehearsal")]
fn compare_every(every: Duration, watch: &Arc<Watch>, services: MakeServices) {
    let watch = Arc::downgrade(watch);
    thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        loop {
            let Some(watch) = watch.upgrade() else { return };
            let found = super::drift::compare_for_page(watch.deployment(), services());
            watch.compared(runtime.block_on(found));
            drop(watch);
            thread::sleep(every.max(Duration::from_secs(1)));
        }
    });
}
