// dial: a connection to another rank's node that is being made, without blocking.
#pragma once
#include <poll.h>

#include <optional>

#include "lib/boot/connection.h"

namespace tutti {

class Dial {
 public:
  enum class State : uint8_t {
    Pending,
    Ready,    // the other side has proved itself: take()
    Refused,  // nobody listens there: its process has ended
    Lost,     // its host cannot be reached
    Broken,   // the connection ended, or no socket could be made
  };
  Dial(const Address& address, const Key& key);
  // Goes on as far as it can.
  State advance();
  pollfd waits() const;
  Connection take() { return std::move(*connection_); }

 private:
  const Address address_;
  const Key key_;
  Descriptor socket_;
  std::optional<Connection> connection_;  // once the socket is connected
  State state_ = State::Pending;
};

}  // namespace tutti
