// connection: see connection.h.
#include "lib/boot/connection.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "lib/boot/address.h"

namespace tutti {
namespace {

constexpr std::string_view kMagic{"tutti\0\0\1", 8};
constexpr size_t kNonceBytes = 32, kProofBytes = 32, kTagBytes = 16, kHeaderBytes = 8;
constexpr size_t kHelloBytes = 8 + kNonceBytes;
constexpr size_t kChallengeBytes = 8 + kNonceBytes + kProofBytes;
constexpr size_t kMaxFrameBytes = kHeaderBytes + kMaxPayloadBytes + kTagBytes;
constexpr size_t kReadBytes = 64 * 1024;

template <size_t N>
void copy_to(std::array<uint8_t, N>* to, std::string_view from) {
  std::memcpy(to->data(), from.data(), N);
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
    : socket_(std::move(socket)), key_(key), state_(side == Side::Client ? State::AwaitChallenge : State::AwaitHello) {
  if (side == Side::Server) return;
  client_nonce_ = random_nonce();
  out_.append(kMagic);
  out_ += view_of(client_nonce_);
}

size_t Connection::handshake_bytes() const {
  switch (state_) {
    case State::AwaitHello: return kHelloBytes;
    case State::AwaitChallenge: return kChallengeBytes;
    default: return kProofBytes;
  }
}

void Connection::adopt_session_keys() {
  const std::string nonces = concat(view_of(client_nonce_), view_of(server_nonce_));
  const Key up = derive_key(key_, "client to server", nonces), down = derive_key(key_, "server to client", nonces);
  const bool client = state_ == State::AwaitChallenge;
  send_key_ = client ? up : down;
  receive_key_ = client ? down : up;
  state_ = State::Ready;
}

void Connection::advance_handshake() {
  const std::string_view in = in_;
  // Known as soon as it begins wrongly: whoever sends something else is not kept waiting for more of it.
  if (state_ != State::AwaitProof && in.substr(0, 8) != kMagic.substr(0, std::min<size_t>(in.size(), 8))) {
    link_ = Link::Stranger;
    return;
  }
  if (in.size() < handshake_bytes()) return;
  if (state_ == State::AwaitHello) {
    copy_to(&client_nonce_, in.substr(8));
    server_nonce_ = random_nonce();
  } else if (state_ == State::AwaitChallenge) {
    copy_to(&server_nonce_, in.substr(8));
  }
  const std::string nonces = concat(view_of(client_nonce_), view_of(server_nonce_));
  const Key server_proof = derive_key(key_, "server proof", nonces), client_proof = derive_key(key_, "client proof", nonces);
  Key proof{};
  switch (state_) {
    case State::AwaitHello:
      out_.append(kMagic);
      out_ += view_of(server_nonce_);
      out_ += view_of(server_proof);
      state_ = State::AwaitProof;
      break;
    case State::AwaitChallenge:
      copy_to(&proof, in.substr(8 + kNonceBytes));
      if (!equal(proof, server_proof)) {
        link_ = Link::WrongSecret;
        return;
      }
      out_ += view_of(client_proof);
      adopt_session_keys();
      break;
    default:
      copy_to(&proof, in);
      if (!equal(proof, client_proof)) {
        link_ = Link::WrongSecret;
        return;
      }
      adopt_session_keys();
      break;
  }
  in_.clear();
}

void Connection::send(Kind kind, std::string_view payload) {
  assert(authenticated() && payload.size() <= kMaxPayloadBytes);
  const std::string header = header_of(kind, payload.size());
  const Tag tag = tag_message(send_key_, sent_frames_++, header, payload);
  out_ += header;
  out_ += payload;
  out_ += view_of(tag);
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
  std::array<char, kReadBytes> buffer;
  while (link_ == Link::Open && in_.size() - taken_ < kMaxFrameBytes) {
    const size_t limit = authenticated() ? buffer.size() : handshake_bytes() - in_.size();
    const ssize_t got = recv(fd(), buffer.data(), limit, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (got <= 0) {
      link_ = lost_ || (got < 0 && by_network(errno)) ? Link::Lost : Link::Closed;
      return;
    }
    in_.append(buffer.data(), static_cast<size_t>(got));
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
  if (in.size() < kHeaderBytes + length + kTagBytes) {
    in_.erase(0, taken_);
    taken_ = 0;
    return std::nullopt;
  }
  const std::string_view payload = in.substr(kHeaderBytes, length);
  Tag tag;
  copy_to(&tag, in.substr(kHeaderBytes + length));
  if (!equal(tag, tag_message(receive_key_, received_frames_, in.substr(0, kHeaderBytes), payload))) {
    link_ = Link::Forged;
    return std::nullopt;
  }
  ++received_frames_;
  Frame frame{static_cast<Kind>(kind), std::string(payload)};
  taken_ += kHeaderBytes + length + kTagBytes;
  if (taken_ == in_.size()) {
    in_.clear();
    taken_ = 0;
  }
  return frame;
}

void Connection::finish_writing() {
  shutdown(fd(), SHUT_WR);
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
