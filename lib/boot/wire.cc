// wire: see wire.h.
#include "lib/boot/wire.h"

#include <unistd.h>

#include <cstring>

#include "lib/base/host.h"

namespace tutti {

Identity own_identity(int rank) {
  return {rank, static_cast<uint32_t>(getpid()), host_name()};
}

std::string to_text(const Identity& identity) {
  return concat("rank ", identity.rank, " (pid ", identity.pid, " on ", identity.host, ")");
}

std::string rank_list(const std::vector<int>& ranks) {
  constexpr size_t kNamed = 16;
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  const size_t named = ranks.size() > kNamed ? kNamed : ranks.size();
  for (size_t i = 0; i < named; ++i) {
    if (i > 0) text += i + 1 == ranks.size() ? " and " : ", ";
    text += std::to_string(ranks[i]);
  }
  if (named < ranks.size()) text += concat(" and ", ranks.size() - named, " more");
  return text;
}

Writer& Writer::cause(const Cause& cause) {
  return u8(static_cast<uint8_t>(cause.code))
      .u32(static_cast<uint32_t>(cause.rank))
      .text(cause.text.substr(0, kMaxTextBytes));
}

Writer& Writer::activity(const Activity& activity) {
  return u64(activity.entered)
      .u64(activity.finished)
      .u32(static_cast<uint32_t>(activity.waits_for))
      .text(activity.call.substr(0, kMaxCallTextBytes))
      .text(activity.then.substr(0, kMaxCallTextBytes))
      .text(activity.text.substr(0, kMaxCallTextBytes));
}

Writer& Writer::departure(const Departure& departure) {
  return u64(departure.calls).text(departure.last.substr(0, kMaxCallTextBytes)).u32(static_cast<uint32_t>(departure.rank));
}

Writer& Writer::address(const Address& address) {
  return u8(address.family).u32(address.port).u32(address.scope).text(view_of(address.ip));
}

std::string_view Reader::take(size_t bytes) {
  if (bytes > in_.size()) {
    ok_ = false;
    in_ = {};
    return {};
  }
  const std::string_view taken = in_.substr(0, bytes);
  in_.remove_prefix(bytes);
  return taken;
}

uint64_t Reader::number(int bytes) {
  const std::string_view taken = take(static_cast<size_t>(bytes));
  uint64_t value = 0;
  for (size_t i = 0; i < taken.size(); ++i) value |= static_cast<uint64_t>(static_cast<uint8_t>(taken[i])) << (8 * i);
  return value;
}

std::string Reader::text(size_t limit) {
  const uint32_t length = u32();
  if (length > limit) ok_ = false;
  return std::string(take(ok_ ? length : 0));
}

Identity Reader::identity() {
  Identity who;
  who.rank = static_cast<int32_t>(u32());
  who.pid = u32();
  who.host = text(64);
  return who;
}

Cause Reader::cause() {
  Cause cause;
  const uint8_t code = u8();
  cause.code = code >= 1 && code <= static_cast<uint8_t>(Code::RemoteError) ? static_cast<Code>(code) : Code::InternalError;
  cause.rank = static_cast<int32_t>(u32());
  cause.text = text(kMaxTextBytes);
  return cause;
}

Activity Reader::activity() {
  Activity activity{};
  activity.entered = u64();
  activity.finished = u64();
  activity.waits_for = static_cast<int32_t>(u32());
  activity.call = text(kMaxCallTextBytes);
  activity.then = text(kMaxCallTextBytes);
  activity.text = text(kMaxCallTextBytes);
  return activity;
}

Departure Reader::departure() {
  Departure departure;
  departure.calls = u64();
  departure.last = text(kMaxCallTextBytes);
  departure.rank = static_cast<int32_t>(u32());
  return departure;
}

Address Reader::address() {
  Address address;
  address.family = u8();
  const uint32_t port = u32();
  ok_ = ok_ && port <= UINT16_MAX;
  address.port = static_cast<uint16_t>(port);
  address.scope = u32();
  const std::string ip = text(address.ip.size());
  if (ip.size() != address.ip.size()) ok_ = false;
  std::memcpy(address.ip.data(), ip.data(), ip.size());
  return address;
}

Seat Reader::seat() {
  Seat seat;
  seat.who = identity();
  seat.address = address();
  seat.salt = key();
  return seat;
}

Key Reader::key() {
  Key key{};
  const std::string bytes = text(key.size());
  if (bytes.size() != key.size()) ok_ = false;
  std::memcpy(key.data(), bytes.data(), bytes.size());
  return key;
}

}  // namespace tutti
