// network: see network.h.
#include "tests/world/network.h"

#include <algorithm>
#include <cstring>

namespace tutti::test::world {
namespace {

constexpr std::byte kSpent{0xee};  // fills what has been released

}  // namespace

// The way from one rank to another, as that rank sees it.
class Line : public Endpoint, public MappedEndpoint {
 public:
  Line(Network& network, int rank, int peer) : MappedEndpoint(0), network_(network), rank_(rank), peer_(peer), near_(network.are_near(rank, peer)) {}

  Progress post(Outgoing& outgoing, const Wire& wire) override {
    if (network_.is_cut(rank_, peer_)) return Progress::Failed;
    Network::Lane& lane = network_.lane(rank_, peer_, wire.channel);
    if (network_.refuses() || !network_.takes(lane, wire.number, "posted")) return Progress::Again;
    if (network_.dice_.chance(50)) {
      if (std::byte* const wanted = claim(wire, outgoing.bytes)) {
        if (outgoing.contiguous)
          std::copy_n(outgoing.contiguous, outgoing.bytes, wanted);
        else
          outgoing.pack(outgoing, {wanted});
        deliver(outgoing, wire);
        return Progress::Done;
      }
    }
    const bool lends = outgoing.contiguous && outgoing.bytes > 0 && (!near_ || network_.dice_.chance(50));
    std::vector<std::byte>* copy = nullptr;
    if (!lends) {
      copy = network_.hold(outgoing.bytes);
      if (outgoing.contiguous) {
        std::copy_n(outgoing.contiguous, outgoing.bytes, copy->data());
      } else {
        outgoing.pack(outgoing, {copy->data()});
      }
    }
    Network::Message& message = network_.add(lane, wire, outgoing.bytes);
    message.copy = copy;
    message.taken_back = network_.silent_.contains(peer_) || network_.silent_.contains(rank_);
    if (lends) {
      message.lent = outgoing.contiguous;
      const bool early = network_.planted_ == Planted::EarlyReuse && network_.dice_.chance(20);
      if (!early) {
        message.outgoing = &outgoing;
        ++outgoing.outstanding;
      }
    }
    --outgoing.posts_left;
    if (network_.planted_ == Planted::LostMessage && !std::exchange(network_.planted_once_, true)) message.seen_from = UINT64_MAX;
    return Progress::Done;
  }

  Progress receive(Incoming& incoming) override {
    if (network_.is_cut(rank_, peer_)) return Progress::Failed;
    Network::Lane& lane = network_.lane(peer_, rank_, incoming.wire.channel);
    const auto found = lane.messages.find(incoming.wire.number);
    if (!near_ && lane.asked.emplace(incoming.wire.number, &incoming).second) {
      ++network_.events_;
      network_.asking_.insert(static_cast<size_t>(&lane - network_.lanes_.data()));
    }
    if (found == lane.messages.end()) return Progress::Again;
    Network::Message& message = found->second;
    if (message.taken_back && !message.landed) return Progress::Again;
    const bool lost = message.seen_from == UINT64_MAX;
    if (lost || (!network_.calm_ && network_.step_ < message.seen_from) || network_.refuses()) return Progress::Again;
    if (!near_ && !message.landed) return Progress::Again;
    if (message.shown) network_.complain("a message was received twice");
    message.shown = true;
    ++network_.events_;
    incoming.view = {message.delivered, message.stamp, message.signature};
    incoming.lent = false;
    if (message.landed) {
      incoming.view.data = incoming.landing;
    } else if (message.lent) {
      incoming.view.data = message.lent;
      incoming.lent = true;
    } else if (message.copy) {
      incoming.view.data = message.copy->data();
      if (incoming.landing && message.bytes <= incoming.capacity && network_.dice_.chance(30)) {
        std::copy_n(message.copy->data(), message.bytes, incoming.landing);
        incoming.view.data = incoming.landing;
      }
      const bool early = network_.planted_ == Planted::EarlyRelease && network_.dice_.chance(20);
      if (early) std::fill(message.copy->begin(), message.copy->end(), kSpent);
    }
    return Progress::Done;
  }

  void offer(Incoming& incoming) override {
    if (near_) network_.lane(peer_, rank_, incoming.wire.channel).offered[incoming.wire.number] = &incoming;
  }
  bool shows(const void*) const override { return near_; }
  Way way(size_t) const override { return Way::Plain; }
  std::byte* claim(const Wire& wire, size_t bytes) override {
    if (!near_ || network_.is_cut(rank_, peer_)) return nullptr;
    Network::Lane& lane = network_.lane(rank_, peer_, wire.channel);
    const auto offered = lane.offered.find(wire.number);
    if (offered == lane.offered.end() || offered->second->capacity != bytes || network_.refuses()) return nullptr;
    return network_.takes(lane, wire.number, "claimed") ? offered->second->landing : nullptr;
  }
  void deliver(Outgoing& outgoing, const Wire& wire) override {
    Network::Lane& lane = network_.lane(rank_, peer_, wire.channel);
    Network::Message& message = network_.add(lane, wire, outgoing.bytes);
    message.delivered = lane.offered.at(wire.number)->landing;
    --outgoing.posts_left;
  }
  bool begin(Incoming& incoming) override {
    Network::Message& message = network_.lane(peer_, rank_, incoming.wire.channel).messages.at(incoming.wire.number);
    if (message.taken_back) return false;
    message.begun = true;
    return true;
  }
  void release(Incoming& incoming) override { network_.release(peer_, rank_, incoming); }
  MappedEndpoint* mapped() override { return near_ ? this : nullptr; }
  Status failure() const override {
    return network_.is_cut(rank_, peer_) ? fail(Code::RemoteError, "the line is cut") : Status();
  }

 private:
  Network& network_;
  const int rank_, peer_;
  const bool near_;
};

class Carrier : public Transport {
 public:
  Carrier(Network& network, int rank, bool near) : network_(network), rank_(rank), near_(near) {}
  const char* name() const override { return near_ ? "near" : "far"; }
  bool lands() const override { return !near_; }
  bool copies() const override { return near_; }
  Result<std::string> address() override { return std::string(); }
  Status connect(std::span<const std::string>, Deadline) override { return {}; }
  Reach reach(int) const override { return {true, 0, 0}; }
  Endpoint& endpoint(int peer) override { return network_.endpoint(rank_, peer); }
  void progress() override { network_.progress(rank_); }
  void quiesce() override { network_.silence(rank_); }

 private:
  Network& network_;
  const int rank_;
  const bool near_;
};

Network::Network(uint64_t seed, const std::vector<int>& hosts, Planted planted, uint32_t first)
    : dice_(seed, 1), ranks_(hosts.size()), hosts_(hosts), planted_(planted) {
  lazy_ = dice_.one_of(std::vector<unsigned>{0, 10, 30, 70});
  room_ = dice_.one_of(std::vector<uint32_t>{1, 2, 4, 64});
  longest_ = dice_.one_of(std::vector<uint64_t>{1, 20, 100});
  lanes_.resize(ranks_ * ranks_ * kLanes);
  for (Lane& lane : lanes_) lane.next = first;
  for (int rank = 0; rank < static_cast<int>(ranks_); ++rank) {
    for (const bool near : {true, false}) transports_.push_back(std::make_unique<Carrier>(*this, rank, near));
    for (int peer = 0; peer < static_cast<int>(ranks_); ++peer) lines_.push_back(std::make_unique<Line>(*this, rank, peer));
  }
}
Network::~Network() = default;

Transport& Network::transport_of(int rank, int peer) {
  return *transports_[static_cast<size_t>(rank) * 2 + (are_near(rank, peer) ? 0 : 1)];
}

std::vector<std::unique_ptr<Transport>> Network::make_transports(int rank) {
  std::vector<std::unique_ptr<Transport>> both;
  for (const bool near : {true, false}) both.push_back(std::make_unique<Carrier>(*this, rank, near));
  return both;
}

void Network::silence(int rank) {
  silent_.insert(rank);
  std::erase_if(told_, [&](const Told& told) { return told.rank == rank; });
  for (int peer = 0; peer < static_cast<int>(ranks_); ++peer)
    for (int channel = 0; channel < kLanes; ++channel) {
      Lane& out = lane(rank, peer, channel);
      for (auto& [number, message] : out.messages) {
        message.outgoing = nullptr;
        message.taken_back |= message.lent && !message.begun;
      }
      Lane& in = lane(peer, rank, channel);
      in.offered.clear();
      in.asked.clear();
      asking_.erase(pair(peer, rank) * kLanes + static_cast<size_t>(channel));
    }
}

Endpoint& Network::endpoint(int rank, int peer) { return *lines_[pair(rank, peer)]; }

void Network::complain(const std::string& text) {
  if (complaint_.empty()) complaint_ = text;
}

void Network::cut(int a, int b) { cut_.insert({std::min(a, b), std::max(a, b)}); }

bool Network::takes(Lane& lane, uint32_t number, const char* deed) {
  const uint32_t ahead = number - lane.next;
  if (static_cast<int32_t>(ahead) < 0 || lane.messages.contains(number) || lane.released.contains(number)) {
    complain(concat("message ", number, " was ", deed, " twice"));
    return false;
  }
  return ahead < (calm_ ? 1 : room_);
}

Network::Message& Network::add(Lane& lane, const Wire& wire, size_t bytes) {
  ++events_;
  Message& message = lane.messages[wire.number];
  message.stamp = wire.call | bytes;
  message.signature = wire.signature;
  message.bytes = bytes;
  message.seen_from = step_ + dice_.below(longest_);
  return message;
}

std::vector<std::byte>* Network::hold(size_t bytes) { return &held_.emplace_back(bytes); }

void Network::release(int from, int to, Incoming& incoming) {
  Lane& at = lane(from, to, incoming.wire.channel);
  const auto found = at.messages.find(incoming.wire.number);
  if (found == at.messages.end() || !found->second.shown) return complain("a message was released that had not been received");
  Message& message = found->second;
  if (incoming.lent && !message.begun) complain("a message was read without begin()");
  ++events_;
  if (message.outgoing) {
    const bool lost = planted_ == Planted::LostReader && !std::exchange(planted_once_, true);
    if (!lost && !message.landed) told_.push_back({from, message.outgoing});
  }
  if (message.copy) std::fill(message.copy->begin(), message.copy->end(), kSpent);
  at.messages.erase(found);
  at.offered.erase(incoming.wire.number);
  at.asked.erase(incoming.wire.number);
  if (at.asked.empty()) asking_.erase(static_cast<size_t>(&at - lanes_.data()));
  at.released.insert(incoming.wire.number);
  while (at.released.erase(at.next)) ++at.next;
  incoming.view = {};
}

// The far transport reads the sender's memory, or its copy, when the reader has asked for the message.
void Network::land(Message& message, Incoming& incoming) {
  const std::byte* const from = message.lent ? message.lent : message.copy->data();
  std::copy_n(from, std::min<size_t>(message.bytes, incoming.capacity), incoming.landing);
  message.landed = true;
  ++events_;
}

void Network::move() {
  ++step_;
  for (const size_t at : asking_) {
    Lane& one = lanes_[at];
    for (const auto& [number, incoming] : one.asked) {
      const auto found = one.messages.find(number);
      if (found == one.messages.end() || found->second.landed || found->second.taken_back || found->second.seen_from == UINT64_MAX) continue;
      Message& message = found->second;
      if (!calm_ && (step_ < message.seen_from || dice_.chance(lazy_))) continue;
      land(message, *incoming);
      const bool lost = message.outgoing && planted_ == Planted::LostReader && !std::exchange(planted_once_, true);
      if (message.outgoing && !lost) told_.push_back({static_cast<int>(at / kLanes / ranks_), message.outgoing});
    }
  }
}

void Network::progress(int rank) {
  for (size_t i = 0; i < told_.size();) {
    if (told_[i].rank != rank || refuses()) {
      ++i;
      continue;
    }
    --told_[i].outgoing->outstanding;
    told_.erase(told_.begin() + static_cast<ptrdiff_t>(i));
    ++events_;
  }
}

std::string Network::left_over() const {
  for (size_t at = 0; at < lanes_.size(); ++at) {
    const size_t pair = at / kLanes;
    if (!lanes_[at].messages.empty())
      return concat("rank ", pair % ranks_, " has not received message ", lanes_[at].messages.begin()->first, " of rank ", pair / ranks_);
    if (!lanes_[at].asked.empty())
      return concat("rank ", pair % ranks_, " still asks rank ", pair / ranks_, " for message ", lanes_[at].asked.begin()->first);
  }
  return told_.empty() ? "" : concat("rank ", told_[0].rank, " is done before all its payloads were read");
}

}  // namespace tutti::test::world
