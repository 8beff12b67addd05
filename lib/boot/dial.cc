// dial: see dial.h.
#include "lib/boot/dial.h"

#include <cerrno>

namespace tutti {
namespace {

Dial::State state_of(int error) {
  if (error == ECONNREFUSED) return Dial::State::Refused;
  if (error == EHOSTUNREACH || error == ENETUNREACH || error == EHOSTDOWN || error == ENETDOWN || error == ETIMEDOUT) return Dial::State::Lost;
  return error == 0 ? Dial::State::Pending : Dial::State::Broken;
}

}  // namespace

Dial::Dial(const Address& address, const Key& key) : address_(address), key_(key) {
  int error = 0;
  Result<Descriptor> socket = start_connect(address, &error);
  state_ = socket.ok() ? state_of(error) : State::Broken;
  if (socket.ok()) socket_ = std::move(socket.value());
}

Dial::State Dial::advance() {
  if (state_ != State::Pending) return state_;
  if (!connection_) {
    pollfd entry{socket_.get(), POLLOUT, 0};
    if (poll(&entry, 1, 0) <= 0) return state_;
    if ((state_ = state_of(connect_error(socket_.get()))) != State::Pending) return state_;
    // On one host, connecting to a free port can meet itself, when that very port is drawn for this side.
    if (const Result<Address> self = local_address(socket_.get()); self.ok() && address_.family != Address::kUnix && self.value() == address_)
      return state_ = State::Refused;
    connection_.emplace(std::move(socket_), Connection::Side::Client, key_);
  }
  connection_->write_some();
  connection_->read_some();
  if (connection_->authenticated()) return state_ = State::Ready;
  switch (connection_->link()) {
    case Connection::Link::Open: return state_;
    case Connection::Link::Lost: return state_ = State::Lost;
    // Another process has that port now.
    case Connection::Link::Stranger:
    case Connection::Link::WrongSecret: return state_ = State::Refused;
    default: return state_ = State::Broken;
  }
}

pollfd Dial::waits() const {
  if (!connection_) return {socket_.get(), POLLOUT, 0};
  return {connection_->fd(), static_cast<short>(POLLIN | (connection_->unsent_bytes() ? POLLOUT : 0)), 0};
}

}  // namespace tutti
