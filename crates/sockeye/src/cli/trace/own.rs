//! A service of sockeye as the server of a traced conversation.

use sockeye_observe::talk::{Answer, Then};
use sockeye_serve::{Flow, Reply, Responder, Service};

use crate::cli::usage::Failure;

/// The service's responder for one connection.
pub(super) fn answering(service: &Service) -> Result<Box<dyn Answer>, Failure> {
    match service.respond() {
        Some(responder) => Ok(Box::new(Answering { responder, reply: Reply::default() })),
        None => Err(Failure::Usage(format!("{} has no conversation to trace", service.name()))),
    }
}

struct Answering {
    responder: Box<dyn Responder>,
    reply: Reply,
}

impl Answer for Answering {
    fn open(&mut self) -> (Vec<u8>, Then) {
        let flow = self.responder.open(&mut self.reply);
        (self.reply.take(&[]), then(flow))
    }

    fn answer(&mut self, input: &mut [u8]) -> (Vec<u8>, Then) {
        let flow = self.responder.respond(input, &mut self.reply);
        (self.reply.take(input), then(flow))
    }

    fn datagram(&mut self, input: &mut [u8]) -> Vec<u8> {
        self.responder.datagram(input, &mut self.reply);
        self.reply.take(input)
    }

    fn finish(&mut self) -> Vec<u8> {
        self.responder.finish(&mut self.reply);
        self.reply.take(&[])
    }
}

fn then(flow: Flow) -> Then {
    match flow {
        Flow::Continue => Then::Wait,
        // A service without end is not traced; whoever has more to say after all is cut short.
        Flow::Again | Flow::Close => Then::Close,
    }
}
