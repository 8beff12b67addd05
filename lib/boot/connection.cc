// connection: see connection.h.
#include "lib/boot/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "lib/boot/address.h"

namespace tutti {
namespace {

constexpr std::string_view kMagic{"tutti\0\0\2", 8};  // the last byte is the protocol's version
constexpr size_t kHeaderBytes = 8;
constexpr size_t kMaxFrameBytes = kHeaderBytes + kMaxPayloadBytes + kSealBytes;
constexpr size_t kReadBytes = 16 * 1024;

template <size_t N>
std::array<uint8_t, N> array_of(std::string_view bytes) {
  std::array<uint8_t, N> array;
  std::memcpy(array.data(), bytes.data(), N);
  return array;
}

std::string header_of(Kind kind, size_t payload_bytes) {
  return Writer().u32(static_cast<uint32_t>(payload_bytes)).u32(static_cast<uint32_t>(kind)).bytes();
}

// What a connection ends with when the network gives up, and not the other side.
bool by_network(int error) {
  return error == ETIMEDOUT || error == EHOSTUNREACH || error == ENETUNREACH || error == EHOSTDOWN || error == ENETDOWN;
}

}  // namespace

std::string lost_text() {
  return concat(" cannot be reached: no answer from its host for ", kSilenceS, " s (a cut link, or a host that is down)");
}

Connection::Connection(Descriptor socket, Side side, const Key& key)
    : socket_(std::move(socket)), side_(side), key_(key), state_(side == Side::Client ? State::AwaitChallenge : State::AwaitHello) {
  (side == Side::Client ? client_nonce_ : server_nonce_) = random_nonce();
  if (side == Side::Server) return;
  out_.append(kMagic);
  out_ += view_of(client_nonce_);
}

size_t Connection::handshake_bytes() const {
  return state_ == State::AwaitHello || state_ == State::AwaitChallenge ? kMagic.size() + sizeof(Nonce) : sizeof(Key);
}

void Connection::make_keys() {
  const std::string nonces = concat(view_of(client_nonce_), view_of(server_nonce_));
  client_proof_ = derive_key(key_, "client proof", nonces);
  server_proof_ = derive_key(key_, "server proof", nonces);
  const Key up = derive_key(key_, "client to server", nonces), down = derive_key(key_, "server to client", nonces);
  send_key_ = side_ == Side::Client ? up : down;
  receive_key_ = side_ == Side::Client ? down : up;
}

void Connection::advance_handshake() {
  const std::string_view in = in_;
  const bool opening = state_ == State::AwaitHello || state_ == State::AwaitChallenge;
  // Known as soon as it begins wrongly: whoever sends something else is not kept waiting for more of it.
  if (opening && in.substr(0, kMagic.size()) != kMagic.substr(0, std::min(in.size(), kMagic.size()))) {
    link_ = Link::Stranger;
    return;
  }
  if (in.size() < handshake_bytes()) return;
  if (opening) {
    (side_ == Side::Client ? server_nonce_ : client_nonce_) = array_of<sizeof(Nonce)>(in.substr(kMagic.size()));
    make_keys();
  } else if (!equal(array_of<sizeof(Key)>(in), side_ == Side::Client ? server_proof_ : client_proof_)) {
    if (side_ == Side::Server) {  // a wrong proof tells the client why the connection ends
      out_.append(sizeof(Key), '\0');
      write_some();
    }
    link_ = Link::WrongSecret;
    return;
  }
  switch (state_) {
    case State::AwaitHello:
      out_.append(kMagic);
      out_ += view_of(server_nonce_);
      state_ = State::AwaitClientProof;
      break;
    case State::AwaitChallenge:
      out_ += view_of(client_proof_);
      state_ = State::AwaitServerProof;
      break;
    case State::AwaitClientProof:
      out_ += view_of(server_proof_);
      state_ = State::Ready;
      break;
    default:
      state_ = State::Ready;
      break;
  }
  in_.clear();
}

void Connection::send(Kind kind, std::string_view payload) {
  assert(authenticated() && payload.size() <= kMaxPayloadBytes);
  std::string frame = header_of(kind, payload.size());
  frame += seal(send_key_, sent_frames_, frame, payload);
  out_ += frame;
  ++sent_frames_;
}

void Connection::write_some() {
  while (sent_ < out_.size()) {
    const ssize_t wrote = ::send(fd(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (wrote >= 0) {
      sent_ += static_cast<size_t>(wrote);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else if (errno != EINTR) {
      // The other side is gone. Its last words may still be there to be read, so reading decides what link() says; but the
      // kernel tells the reason once only.
      lost_ = lost_ || by_network(errno);
      break;
    }
  }
  out_.clear();
  sent_ = 0;
}

void Connection::read_some() {
  while (link_ == Link::Open && in_.size() - taken_ < kMaxFrameBytes) {
    const size_t before = in_.size(), limit = authenticated() ? kReadBytes : handshake_bytes() - before;
    in_.resize(before + limit);
    const ssize_t got = recv(fd(), in_.data() + before, limit, MSG_DONTWAIT);
    const int error = errno;
    in_.resize(before + (got > 0 ? static_cast<size_t>(got) : 0));
    if (got < 0 && error == EINTR) continue;
    if (got < 0 && (error == EAGAIN || error == EWOULDBLOCK)) return;
    if (got <= 0) {
      link_ = lost_ || (got < 0 && by_network(error)) ? Link::Lost : Link::Closed;
      return;
    }
    if (!authenticated()) advance_handshake();
  }
}

std::optional<Frame> Connection::next() {
  const std::string_view in = std::string_view(in_).substr(taken_);
  if (!authenticated() || in.size() < kHeaderBytes || link_ == Link::Forged) return std::nullopt;
  Reader header(in);
  const size_t length = header.u32();
  const uint32_t kind = header.u32();
  if (length > kMaxPayloadBytes || kind > 255) {
    link_ = Link::Forged;
    return std::nullopt;
  }
  const size_t whole = kHeaderBytes + length + kSealBytes;
  if (in.size() < whole) {
    in_.erase(0, taken_);
    taken_ = 0;
    return std::nullopt;
  }
  std::optional<std::string> payload =
      unseal(receive_key_, received_frames_, in.substr(0, kHeaderBytes), in.substr(kHeaderBytes, length + kSealBytes));
  if (!payload) {
    link_ = Link::Forged;
    return std::nullopt;
  }
  ++received_frames_;
  taken_ += whole;
  if (taken_ == in_.size()) {
    in_.clear();
    taken_ = 0;
  }
  return Frame{static_cast<Kind>(kind), std::move(*payload)};
}

void Connection::finish_writing() {
  shutdown(fd(), SHUT_WR);
}

void finish_writing(Connection& connection, const Deadline& deadline) {
  for (; connection.unsent_bytes() > 0 && !deadline.passed(); connection.write_some()) {
    pollfd entry{connection.fd(), POLLOUT, 0};
    poll(&entry, 1, deadline.left_ms(1000));
  }
  connection.finish_writing();
}

bool Connection::drain() {
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t got = recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got > 0 || (got < 0 && errno == EINTR)) continue;
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }
}

}  // namespace tutti
