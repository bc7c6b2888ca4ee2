//! A tokio server as people usually write it: a task and an 8 KiB buffer for each connection.
//!
//! With one core to run on it uses the current-thread runtime, otherwise the multi-thread one.

use std::io::ErrorKind;
use std::thread::available_parallelism;

use sockeye_bench_reference::{Outcome, address_argument, announce, raise_file_limit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

fn main() -> Outcome {
    raise_file_limit()?;
    let mut builder = match available_parallelism()?.get() {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.enable_all().build()?.block_on(accept())
}

async fn accept() -> Outcome {
    let listener = TcpListener::bind(address_argument()?).await?;
    announce(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(cause) = serve(stream).await
                && cause.kind() != ErrorKind::ConnectionReset
            {
                eprintln!("connection: {cause}");
            }
        });
    }
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 8192];
    loop {
        let got = stream.read(&mut buffer).await?;
        if got == 0 {
            return Ok(());
        }
        buffer[..got].make_ascii_uppercase();
        stream.write_all(&buffer[..got]).await?;
    }
}
