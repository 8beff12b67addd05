// ucx: see ucx.h.
#include "transports/ucx/ucx.h"

#include <poll.h>
#include <sched.h>
#include <sys/random.h>

#include <algorithm>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "transports/ucx/address.h"
#include "transports/ucx/endpoint.h"

namespace tutti::ucx {
namespace {

constexpr double kLatencySeconds = 20e-6;  // of a short message over TCP between two processes that poll
constexpr double kLingerSeconds = 0.1;

class Ucx final : public Transport, private Receiver {
 public:
  explicit Ucx(const TransportOptions& options)
      : ranks_(options.ranks), cancel_(options.cancel), common_(options.largest_message), endpoints_(options.ranks) {
    common_.rank = options.rank;
  }
  ~Ucx() override;

  Status open(const Settings& settings, std::span<const Cluster::Nic> written);
  const char* name() const override { return "ucx"; }
  bool lands() const override { return true; }
  Result<std::string> address() override;
  Status connect(std::span<const std::string> addresses, Deadline deadline) override;
  Reach reach(int peer) const override;
  Endpoint& endpoint(int peer) override { return endpoints_[static_cast<size_t>(peer)]; }
  void progress() override {
    if (dead_) return;
    for (const auto& rail : common_.rails) rail->progress();
    if (!common_.waiting.empty()) common_.send_waiting();
  }
  int64_t may_sleep() override;
  void add_descriptors(std::vector<pollfd>& polls) const override;
  void wake() override { (void)ucp_worker_signal(common_.rails[0]->worker()); }
  Progress flushed() override;
  Status leave(Deadline deadline, std::vector<Untaken>& untaken) override;
  void quiesce() override;

 private:
  ucs_status_t arrive(uint32_t rail, const Header& header, void* data, size_t bytes, uint64_t attributes) noexcept override;
  void credit(const Header& header) noexcept override;
  bool known(const Header& header) const {
    return connected_ && !closed_ && header.token == token_ && header.channel < kLanes && header.rank < ranks_ && reachable_[header.rank];
  }
  void nap();
  void linger();

  const int ranks_;
  const std::atomic<bool>& cancel_;
  Contact self_;
  uint32_t token_ = 0;
  Common common_;
  std::vector<UcxEndpoint> endpoints_;
  std::vector<bool> reachable_;
  double bandwidth_Bps_ = 0;
  bool connected_ = false;
  bool closed_ = false;  // nobody waits for messages any more
  bool dead_ = false;    // progress() does nothing any more
};

// UCX does not authenticate connections: a stranger can end the process with a few bytes.
void warn_of_strangers(std::span<const std::unique_ptr<Rail>> rails) {
  for (const auto& rail : rails)
    if (rail->plain() && rail->nic().is_public())
      log_warn(-1, "ucx listens at ", rail->nic().name, ", which has a public address: a stranger who connects could end this process; close these ports (TUTTI_PORTS) in the firewall");
}

Status Ucx::open(const Settings& settings, std::span<const Cluster::Nic> written) {
  if (getrandom(&token_, sizeof token_, 0) != sizeof token_) return system_failure(errno, "ucx: getrandom");
  Result<RankNics> nics = choose_nics_or_devices(settings, written);
  if (!nics.ok()) return nics.status();
  self_ = {std::move(nics.value()), process_token(), token_, {}};
  const PortChoice ports = choose_ports_or_range(settings);
  for (const Nic& nic : self_.at.nics) {
    Result<std::unique_ptr<Rail>> rail = Rail::open(nic, ports, *this);
    if (!rail.ok()) return rail.status();
    common_.rails.push_back(std::move(rail.value()));
  }
  static const bool warned = (warn_of_strangers(common_.rails), true);
  (void)warned;
  return {};
}

Result<std::string> Ucx::address() {
  self_.workers.clear();
  for (const auto& rail : common_.rails) {
    Result<std::string> worker = rail->address();
    if (!worker.ok()) return worker.status();
    self_.workers.push_back(std::move(worker.value()));
  }
  return to_bytes(self_);
}

// Works out who meets whom on which rail. Nothing is sent: connections are made when they are needed.
Status Ucx::connect(std::span<const std::string> addresses, Deadline) {
  std::vector<Contact> contacts;
  std::vector<RankNics> nics;
  std::vector<int> members;  // the ranks of contacts and nics: those that have this transport
  size_t me = 0;
  for (int peer = 0; peer < ranks_; ++peer) {
    const std::string& address = addresses[static_cast<size_t>(peer)];
    if (address.empty()) continue;
    Result<Contact> contact = to_contact(address);
    if (!contact.ok()) return fail(contact.status().code(), "ucx: the address of rank ", peer, " ", contact.status().text());
    if (peer == common_.rank) me = members.size();
    members.push_back(peer);
    nics.push_back(std::move(contact.value().at));
    contacts.push_back(std::move(contact.value()));
  }
  const Rails matched = match_rails(nics);
  std::vector<std::unique_ptr<Rail>> opened = std::move(common_.rails);
  common_.rails.clear();
  for (const std::vector<uint32_t>& rail : matched) {
    common_.rails.push_back(std::move(opened[rail[me]]));
    common_.rails.back()->set_index(static_cast<uint32_t>(common_.rails.size() - 1));
  }

  reachable_.assign(static_cast<size_t>(ranks_), false);
  for (size_t i = 0; i < members.size(); ++i) {
    const size_t peer = static_cast<size_t>(members[i]);
    std::vector<std::string> workers;
    for (const std::vector<uint32_t>& rail : matched) workers.push_back(std::move(contacts[i].workers[rail[i]]));
    const RailsBetween between = rails_between(nics, matched, me, i);
    reachable_[peer] = between.reachable;
    endpoints_[peer].open(common_, members[i], contacts[i].token, contacts[i].process == self_.process, std::move(workers), between.deal);
  }
  bandwidth_Bps_ = least_Bps(nics, matched);
  connected_ = true;
  return {};
}

Reach Ucx::reach(int peer) const {
  if (!reachable_[static_cast<size_t>(peer)]) return {};
  return {true, kLatencySeconds, bandwidth_Bps_};
}

ucs_status_t Ucx::arrive(uint32_t rail, const Header& header, void* data, size_t bytes, uint64_t attributes) noexcept {
  if (!known(header)) return UCS_OK;  // not of this communicator: dropped
  return endpoints_[header.rank].arrive(rail, header, data, bytes, attributes);
}

void Ucx::credit(const Header& header) noexcept {
  if (known(header)) endpoints_[header.rank].credit(header);
}

// UCX has to be armed after the last progress(), which is in the caller's last look. Otherwise what that look has left unread would not
// make the descriptor readable.
int64_t Ucx::may_sleep() {
  if (dead_) return kLongSleepNs;
  for (const auto& rail : common_.rails)
    if (ucp_worker_arm(rail->worker()) != UCS_OK) return 0;
  return kLongSleepNs;
}

void Ucx::add_descriptors(std::vector<pollfd>& polls) const {
  if (dead_) return;  // nobody reads what comes, so the descriptors would stay readable
  for (const auto& rail : common_.rails) polls.push_back({rail->event_fd(), POLLIN, 0});
}

// Sleeps a millisecond at most.
void Ucx::nap() {
  std::vector<pollfd> polls;
  add_descriptors(polls);
  if (may_sleep() > 0) poll(polls.data(), polls.size(), 1);
}

Progress Ucx::flushed() {
  if (dead_) return Progress::Done;
  Progress progress = Progress::Done;
  for (Link* const link : common_.used) {
    if (link->unmarked) link->owner->mark(*link);
    const Progress lost = link->owner->lost(*link);
    if (lost == Progress::Failed) return lost;
    if (lost == Progress::Again) progress = lost;
  }
  if (common_.pending > 0) progress = Progress::Again;
  if (progress == Progress::Done) common_.used.clear();
  return progress;
}

// The kernel sends on what is in a connection that is closed, unless something comes from the peer: then it drops it. So credits
// that are on their way are waited for, and the last ones, which tell that the peer has everything: but the peer gives those when it
// leaves, which may be much later, and so not for longer than sending takes over the slowest of links. A peer in this process is not
// waited for if this very thread may have to let it go on.
Status Ucx::leave(Deadline deadline, std::vector<Untaken>& untaken) {
  constexpr double kSeconds = 0.1, kSlowBps = 1e6, kOwnSeconds = 1;
  const int64_t begin_ns = now_ns();
  const auto waited_s = [&] { return static_cast<double>(now_ns() - begin_ns) * 1e-9; };
  // Takes in messages that have come and that no call has asked for.
  constexpr int kMostLooks = 1000;
  for (const auto& rail : common_.rails)
    for (int look = 0; look < kMostLooks && !dead_ && rail->progress(); ++look) {
    }
  for (UcxEndpoint& endpoint : endpoints_)
    endpoint.settle();
  const auto due = [&](const UcxEndpoint& endpoint) {
    if (endpoint.broken()) return false;
    if (endpoint.in_process()) return endpoint.credits_due() && waited_s() < kOwnSeconds;
    return endpoint.credits_due() || (endpoint.last_credits_due() &&
                                      waited_s() < kSeconds + static_cast<double>(endpoint.unacked_bytes()) / kSlowBps);
  };
  const auto unsent = [&] { return common_.idle.size() < common_.sendings.size() && waited_s() < kSeconds; };
  while ((unsent() || std::any_of(endpoints_.begin(), endpoints_.end(), due)) && !deadline.passed() &&
         !cancel_.load(std::memory_order_acquire)) {
    progress();
    nap();
  }
  if (cancel_.load(std::memory_order_acquire)) return {};  // that has its own reason
  for (const UcxEndpoint& endpoint : endpoints_) endpoint.add_untaken(untaken);
  if (!untaken.empty()) return {};
  for (int peer = 0; peer < ranks_; ++peer) {
    const UcxEndpoint& endpoint = endpoints_[static_cast<size_t>(peer)];
    if (endpoint.credits_due() && !endpoint.broken() && !endpoint.in_process())
      return fail(Code::RemoteError, "rank ", peer, " has not taken all that was sent to it");
  }
  return {};
}

// UCX 1.13 aborts the process if a connection breaks or is dropped during its wireup (one case is openucx/ucx pull request 8175). Over TCP
// there is no wireup, see UcxEndpoint::hand_over(). When a communicator fails, all ranks close their connections at about the same time.
// So over RDMA each rank first lets the connections that are being made come to their end.
void Ucx::linger() {
  if (std::all_of(common_.rails.begin(), common_.rails.end(), [](const auto& rail) { return rail->plain(); })) return;
  const Deadline deadline = Deadline::after_s(kLingerSeconds);
  while (!deadline.passed()) {
    progress();
    nap();
  }
}

void Ucx::quiesce() {
  closed_ = true;  // what comes now is dropped: nobody's memory is written
  if (dead_) return;
  if (cancel_.load(std::memory_order_acquire)) linger();
  // From here on progress() does nothing. Over sockets only it could read or write memory; an RDMA device may still read what it was
  // given to send.
  dead_ = true;
  for (Sending& sending : common_.sendings) {
    if (!sending.outgoing) continue;
    --sending.outgoing->outstanding;
    sending.outgoing = nullptr;
  }
  common_.outstanding = 0;
}

Ucx::~Ucx() {
  closed_ = true;
  for (UcxEndpoint& endpoint : endpoints_) endpoint.drop_messages();
  common_.rails.clear();
}

}  // namespace

Result<std::unique_ptr<Transport>> create(const TransportOptions& options) {
  auto ucx = std::make_unique<Ucx>(options);
  TUTTI_TRY(ucx->open(options.settings, options.nics));
  return std::unique_ptr<Transport>(std::move(ucx));
}

}  // namespace tutti::ucx
