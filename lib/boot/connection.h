// connection: one encrypted stream of frames over a nonblocking socket; the same class on both sides.
//
//   client -> server   magic, client nonce
//   server -> client   magic, server nonce
//   client -> server   proof that it knows the key
//   server -> client   proof that it knows the key; frames may follow at once, both ways
//   frame              length (4), kind (1), zero (3), sealed payload
//
// Key and nonces make two session keys, one for each direction. The client proves itself first: somebody who only connects gets nothing
// that would help to guess the key. A frame is sealed under its number: others cannot read, change, leave out, repeat or send back a frame.
// Until the other side has proved itself, no more is read than the handshake needs; afterwards never more than two frames
// are buffered. No method blocks. One thread at a time.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/clock.h"
#include "lib/base/crypto.h"
#include "lib/base/descriptor.h"
#include "lib/boot/wire.h"

namespace tutti {

class Connection {
 public:
  enum class Side : uint8_t { Client, Server };
  enum class Link : uint8_t {
    Open,
    Closed,       // by the other side
    Lost,         // by the network: the other side's host gave no answer for kSilenceS
    Stranger,     // the other side does not speak this protocol
    WrongSecret,  // it does not know the key
    Forged,       // a message was not sealed by the other side, or has an impossible length
  };

  Connection(Descriptor socket, Side side, const Key& key);

  int fd() const { return socket_.get(); }
  Link link() const { return link_; }
  bool authenticated() const { return state_ == State::Ready; }
  size_t unsent_bytes() const { return out_.size() - sent_; }

  // REQUIRES: authenticated(). Only queues; write_some() sends.
  void send(Kind kind, std::string_view payload);
  void write_some();
  // Reads what is there and goes on with the handshake. Then take all frames with next(), and only then look at link():
  // what came before the end of the stream counts.
  void read_some();
  std::optional<Frame> next();

  // Says that nothing will be sent any more; reading goes on until the other side has done the same.
  void finish_writing();
  // Reads and throws away. False: the other side has ended too.
  bool drain();

 private:
  enum class State : uint8_t { AwaitHello, AwaitChallenge, AwaitClientProof, AwaitServerProof, Ready };
  size_t handshake_bytes() const;
  void advance_handshake();
  void make_keys();

  Descriptor socket_;
  const Side side_;
  Key key_;
  State state_;
  Link link_ = Link::Open;
  bool lost_ = false;  // writing found Link::Lost
  Nonce client_nonce_{}, server_nonce_{};
  Key client_proof_{}, server_proof_{}, send_key_{}, receive_key_{};
  uint64_t sent_frames_ = 0, received_frames_ = 0;
  std::string in_, out_;
  size_t taken_ = 0, sent_ = 0;  // consumed prefixes of in_ and out_
};

// Sends what is queued, then finish_writing(). Blocks until the deadline at the latest.
void finish_writing(Connection& connection, const Deadline& deadline);

// When link() is Lost: the rest of a sentence that begins with the other side's name.
std::string lost_text();

}  // namespace tutti
