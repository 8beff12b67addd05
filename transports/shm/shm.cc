// shm: see shm.h.
#include "transports/shm/shm.h"

#include <sys/random.h>
#include <algorithm>
#include <cstring>

#include "lib/base/fence.h"
#include "lib/base/host.h"
#include "lib/base/log.h"
#include "transports/shm/bell.h"
#include "transports/shm/endpoint.h"
#include "transports/shm/exchange.h"

namespace tutti::shm {
namespace {

// Of a line from core to core, and of a stream of lines.
constexpr double kHopSeconds = 150e-9, kBandwidthBps = 25e9;
constexpr int64_t kShortSleepNs = 500'000;  // where the kernel has no fence for other processes, and a ring can be missed

class Shm final : public Transport {
 public:
  explicit Shm(const TransportOptions& options)
      : rank_(options.rank),
        ranks_(options.ranks),
        cancel_(options.cancel),
        layout_(static_cast<uint32_t>(options.ranks), options.largest_message),
        settings_(options.settings) {}

  Status open();
  const char* name() const override { return "shm"; }
  bool copies() const override { return true; }
  Result<std::string> address() override;
  Status connect(std::span<const std::string> addresses, Deadline deadline) override;
  Reach reach(int peer) const override {
    if (!arenas_[peer]) return {};
    return {true, kHopSeconds, kBandwidthBps, true};
  }
  Endpoint& endpoint(int peer) override { return endpoints_[peer]; }
  void progress() override {
    if (sender_.references > 0) sender_.reap();
  }
  void quiesce() override {
    for (ShmEndpoint& endpoint : endpoints_) endpoint.withdraw();
    const Deadline deadline = Deadline::after_s(1);
    for (ShmEndpoint& endpoint : endpoints_) endpoint.settle(deadline);
  }
  Status leave(Deadline deadline, std::vector<Untaken>& untaken) override;
  void arm() override;
  int64_t may_sleep() override { return kHeavyFenceAllWorks ? kLongSleepNs : kShortSleepNs; }
  void add_descriptors(std::vector<pollfd>& polls) const override { polls.push_back({bell_.descriptor(), POLLIN, 0}); }
  void disarm() override;
  void wake() override;

 private:
  const int rank_, ranks_;
  const std::atomic<bool>& cancel_;  // of start-up
  const ArenaLayout layout_;
  const Settings& settings_;
  std::optional<Way> fixed_way_;  // that it names
  Token token_{};
  std::unique_ptr<Arena> mine_;
  Key secret_{};
  Descriptor listener_;
  std::vector<Arena*> arenas_;         // by rank; null: not on this host
  std::vector<Neighbour> neighbours_;  // what arenas_ points into, but for this rank's own
  Sender sender_;
  std::vector<ShmEndpoint> endpoints_;
  Bell bell_;
};

Status Shm::open() {
  const std::string& write = settings_.text(Setting::ShmWrite);
  for (const Way way : {Way::Ahead, Way::Strings, Way::Streamed})
    if (write == name_of(way)) fixed_way_ = way;
  if (!fixed_way_ && write != "auto") return settings_.about(Setting::ShmWrite, fail(Code::InvalidArgument, "must be auto, ahead, strings or streamed"));
  if (getrandom(token_.data(), sizeof token_, 0) != sizeof token_) return system_failure(errno, "shm: getrandom");
  Result<std::unique_ptr<Arena>> arena = Arena::create(layout_, token_);
  if (!arena.ok()) return arena.status();
  mine_ = std::move(arena.value());
  TUTTI_TRY(prepare_crypto());
  secret_ = random_nonce();
  Result<Descriptor> listener = listen_at(token_);
  if (!listener.ok()) return listener.status();
  listener_ = std::move(listener.value());
  if (ranks_ > 1) {
    Result<Bell> bell = Bell::make(token_);
    if (!bell.ok()) return bell.status();
    bell_ = std::move(bell.value());
  }
  sender_.arena = mine_.get();
  sender_.heap = heap_file();
  sender_.pools[0].open(layout_.small_slots, kSmallSlotBytes, layout_.small_count);
  sender_.pools[1].open(layout_.large_slots, layout_.large_slot_bytes, layout_.large_count);
  sender_.holding.reserve(static_cast<size_t>(ranks_) * kLanes);
  arenas_.resize(ranks_);
  neighbours_.resize(ranks_);
  endpoints_.resize(ranks_);
  return {};
}

Result<std::string> Shm::address() {
  const Contact contact{host_number(), process_token(), token_, secret_, layout_.total, sender_.heap.bytes};
  return std::string(reinterpret_cast<const char*>(&contact), sizeof contact);
}

Status Shm::connect(std::span<const std::string> addresses, Deadline deadline) {
  // Closed on return, whatever came of it: ranks that wait in the backlog see the end.
  const Descriptor listener = std::move(listener_);
  std::vector<Contact> contacts(ranks_);
  for (int peer = 0; peer < ranks_; ++peer) {
    if (addresses[peer].empty()) continue;  // a contact of zeros is on no host
    if (addresses[peer].size() != sizeof(Contact))
      return fail(Code::InvalidUsage, "shm: rank ", peer, " runs another version of Tutti");
    std::memcpy(&contacts[peer], addresses[peer].data(), sizeof(Contact));
  }
  const Distance distance(fixed_way_);
  TUTTI_TRY(exchange_arenas(rank_, contacts, layout_, listener, *mine_, neighbours_, {deadline, cancel_}));
  mine_->close_descriptor();

  for (int peer = 0; peer < ranks_; ++peer) {
    Neighbour& neighbour = neighbours_[peer];
    arenas_[peer] = peer == rank_ ? mine_.get() : neighbour.arena.get();
    if (!arenas_[peer]) continue;
    const bool mine = contacts[peer].process == contacts[rank_].process;
    std::byte* const heap = mine ? sender_.heap.base : neighbour.heap ? neighbour.heap->base() : nullptr;
    endpoints_[peer].open(sender_, bell_, *arenas_[peer], {heap, contacts[peer].heap_bytes, mine}, distance, rank_, peer);
  }
  return {};
}

Status Shm::leave(Deadline, std::vector<Untaken>& untaken) {
  mine_->header().left.store(1, std::memory_order_release);
  // If a peer leaves at the same time, the peer sees that this rank has left, or this rank sees what the peer has sent.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  for (int peer = 0; peer < ranks_; ++peer)
    if (arenas_[peer]) endpoints_[peer].add_untaken(untaken);
  return {};
}

void Shm::arm() {
  mine_->header().doorbell.sleeping.store(1, std::memory_order_relaxed);
  // After this, a peer either sees `sleeping`, or wrote its message early enough for the caller's next look to find it.
  heavy_fence_all();
}

void Shm::disarm() {
  mine_->header().doorbell.sleeping.store(0, std::memory_order_relaxed);
  bell_.hush();
}

void Shm::wake() {
  mine_->header().doorbell.sleeping.store(1, std::memory_order_relaxed);
  bell_.ring(mine_->header());
}

}  // namespace

Result<std::unique_ptr<Transport>> create(const TransportOptions& options) {
  auto shm = std::make_unique<Shm>(options);
  TUTTI_TRY(shm->open());
  return std::unique_ptr<Transport>(std::move(shm));
}

}  // namespace tutti::shm
