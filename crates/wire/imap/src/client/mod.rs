//! Client side: a strict parser of responses.
