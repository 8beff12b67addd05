// rendezvous: see rendezvous.h.
#include "lib/boot/rendezvous.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/boot/roster.h"
#include "lib/boot/tree.h"

namespace tutti {
namespace {

constexpr double kLingerS = 10;  // of a failed rendezvous, for ranks that come late
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr int64_t kLongestWaitMs = 7 * 24 * 3600 * int64_t{1000};

class Rendezvous final : public Service {
 public:
  Rendezvous(double linger_s, double unused_s, int rank)
      : linger_ns_(static_cast<int64_t>(linger_s * 1e9)),
        deadline_ns_(now_ns() + static_cast<int64_t>(unused_s * 1e9)),
        host_(own_identity(rank)) {}

  void on_frame(Peer& peer, const Frame& frame) override;
  void on_closed(Peer& peer) override;
  void on_clock(int64_t now) override;
  int64_t wake_ns() const override { return deadline_ns_; }
  void on_stop(bool) override {
    if (!finished_) give_up({Code::RemoteError, 0, "rank 0 gave up while the ranks were joining"});
    finished_ = true;
  }
  void on_exhausted(const Status& status) override {
    give_up(Cause{status.code(), -1, concat("the rendezvous failed: ", status.text())});
    finished_ = true;
  }
  bool accepting() const override { return true; }
  bool finished() const override { return finished_; }

 private:
  struct Guest {
    Peer* peer;
    Identity who;
    Seat seat{};
    Key host{};
  };
  void welcome(Peer& peer, const Hello& hello);
  void note(Peer& peer) { peer.connection.send(Kind::Noted, Writer().identity(host_).bytes()); }
  void give_up(const Cause& cause);
  void tell(const Guest& guest);
  void introduce();

  const int64_t linger_ns_;
  int64_t deadline_ns_;  // for the first rank to come; then of the first one to lose patience; after a failure: of lingering
  bool finished_ = false, failed_ = false;
  Cause cause_{};
  int ranks_ = 0;  // as the first guest said; 0: nobody has come
  double patience_s_ = 0;
  std::vector<Guest> guests_;
  std::vector<bool> told_;  // by rank
  Identity host_;  // the rank whose process this is; rank -1: not known yet
};

void Rendezvous::on_frame(Peer& peer, const Frame& frame) {
  if (frame.kind == Kind::GaveUp && peer.rank >= 0 && !failed_ && !finished_) return give_up(Reader(frame.payload).cause());
  Hello hello;
  if (frame.kind != Kind::Hello || peer.rank >= 0 || !unpack(frame.payload, &hello)) {
    peer.unwanted = peer.rank < 0;
    return;
  }
  welcome(peer, hello);
}

void Rendezvous::welcome(Peer& peer, const Hello& hello) {
  peer.rank = hello.who.rank;
  if (host_.rank < 0 && hello.process == process_token()) {  // the guest is a rank of this process
    host_.rank = hello.who.rank;
    for (const Guest& other : guests_) note(*other.peer);
  }
  note(peer);
  const Guest guest{&peer, hello.who, {hello.who, hello.address, hello.salt}, hello.host};
  if (failed_) return tell(guest);
  const auto same =
      std::find_if(guests_.begin(), guests_.end(), [&](const Guest& other) { return other.who.rank == hello.who.rank; });
  const bool taken = same != guests_.end();
  const Identity other = taken ? same->who : Identity{};
  guests_.push_back(guest);
  if (ranks_ == 0) {
    ranks_ = hello.ranks;
    deadline_ns_ = kNever;  // from here on it is the ranks' own
  }
  if (hello.ranks != ranks_)
    return give_up({Code::InvalidUsage, hello.who.rank,
                    concat("the ranks disagree about their number: ", to_text(hello.who), " says ", hello.ranks, ", ",
                           to_text(guests_[0].who), " says ", ranks_)});
  if (taken)
    return give_up({Code::InvalidUsage, hello.who.rank,
                    concat("rank ", hello.who.rank, " was given twice: to pid ", other.pid, " on ", other.host,
                           " and to pid ", hello.who.pid, " on ", hello.who.host)});
  if (hello.failure) return give_up(*hello.failure);
  const int64_t left_ms = std::clamp<int64_t>(hello.left_ms, 0, kLongestWaitMs);
  const int64_t deadline_ns = now_ns() + left_ms * 1'000'000;
  if (deadline_ns < deadline_ns_) {
    deadline_ns_ = deadline_ns;
    patience_s_ = std::round(static_cast<double>(left_ms) / 100) / 10;
  }
  if (static_cast<int>(guests_.size()) == ranks_) introduce();
}

void Rendezvous::introduce() {
  std::vector<const Guest*> by_rank(guests_.size());
  for (const Guest& guest : guests_) by_rank[static_cast<size_t>(guest.who.rank)] = &guest;
  std::vector<Key> hosts;
  for (const Guest* guest : by_rank) hosts.push_back(guest->host);
  const Tree tree = plan_tree(hosts);
  std::vector<Seat> seats;
  for (const int rank : tree.order) seats.push_back(by_rank[static_cast<size_t>(rank)]->seat);
  for (const std::string& piece : pack_seats(seats)) by_rank[0]->peer->connection.send(Kind::Seats, piece);
  std::vector<uint32_t> children(guests_.size());
  for (const int parent : tree.parent)
    if (parent >= 0) ++children[static_cast<size_t>(parent)];
  for (const Guest* guest : by_rank) {
    const auto rank = static_cast<size_t>(guest->who.rank);
    const int parent = std::max(tree.parent[rank], 0);
    const std::string payload =
        Writer().seat(by_rank[static_cast<size_t>(parent)]->seat).seat(by_rank[0]->seat).u32(children[rank]).bytes();
    guest->peer->connection.send(Kind::Introduction, payload);
  }
  finished_ = true;
  deadline_ns_ = kNever;  // on_clock() may follow, and must not fail a rendezvous that is complete
}

void Rendezvous::on_closed(Peer& peer) {
  const auto gone = std::find_if(guests_.begin(), guests_.end(), [&](const Guest& guest) { return guest.peer == &peer; });
  if (gone == guests_.end()) return;
  const Identity who = gone->who;
  guests_.erase(gone);
  if (failed_ || finished_) return;
  const bool lost = peer.connection.link() == Connection::Link::Lost;
  give_up({Code::RemoteError, who.rank,
           concat(to_text(who), lost ? lost_text() : " died while the ranks were joining: its connection closed")});
}

void Rendezvous::on_clock(int64_t now) {
  if (now < deadline_ns_) return;
  if (failed_ || ranks_ == 0) {
    if (!failed_) log_info(-1, "rendezvous: nobody has come");
    finished_ = true;
    return;
  }
  std::vector<bool> came(static_cast<size_t>(ranks_), false);
  for (const Guest& guest : guests_) came[static_cast<size_t>(guest.who.rank)] = true;
  std::vector<int> missing;
  for (int rank = 0; rank < ranks_; ++rank)
    if (!came[static_cast<size_t>(rank)]) missing.push_back(rank);
  give_up({Code::RemoteError, missing.front(),
           concat(rank_list(missing), " of ", ranks_, " did not join within ", patience_s_, " s")});
}

void Rendezvous::give_up(const Cause& cause) {
  if (failed_) return;
  failed_ = true;
  cause_ = cause;
  deadline_ns_ = now_ns() + linger_ns_;
  log_info(-1, "rendezvous: ", cause.text);
  told_.assign(static_cast<size_t>(ranks_), false);
  for (const Guest& guest : guests_) tell(guest);
}

void Rendezvous::tell(const Guest& guest) {
  guest.peer->connection.send(Kind::Failure, Writer().cause(cause_).bytes());
  if (guest.who.rank < ranks_) told_[static_cast<size_t>(guest.who.rank)] = true;
  if (std::find(told_.begin(), told_.end(), false) == told_.end()) finished_ = true;
}

}  // namespace

std::string pack(const Hello& hello) {
  return Writer()
      .identity(hello.who)
      .u32(static_cast<uint32_t>(hello.ranks))
      .u64(static_cast<uint64_t>(hello.left_ms))
      .address(hello.address)
      .text(view_of(hello.salt))
      .text(view_of(hello.host))
      .u64(hello.process[0])
      .u64(hello.process[1])
      .u32(hello.failure.has_value())
      .cause(hello.failure.value_or(Cause{}))
      .bytes();
}

bool unpack(const std::string& bytes, Hello* hello) {
  Reader in(bytes);
  hello->who = in.identity();
  hello->ranks = static_cast<int>(in.u32());
  hello->left_ms = static_cast<int64_t>(in.u64());
  hello->address = in.address();
  hello->salt = in.key();
  hello->host = in.key();
  for (uint64_t& part : hello->process) part = in.u64();
  const bool failed = in.u32() != 0;
  Cause failure = in.cause();
  if (failed) hello->failure = std::move(failure);
  return in.ok() && hello->ranks >= 1 && hello->ranks <= kMaxRanks && hello->who.rank >= 0 && hello->who.rank < hello->ranks;
}

Result<std::unique_ptr<Server>> make_rendezvous(Descriptor listener, const Key& secret, double linger_s, double unused_s, int rank) {
  return Server::make(std::move(listener), rendezvous_key(secret), std::make_unique<Rendezvous>(linger_s, unused_s, rank));
}

namespace {

Result<UniqueId> start_rendezvous(const Settings& settings) {
  IdContent content;
  Result<Address> address = choose_interface(settings);
  if (!address.ok()) return address.status();
  content.address = address.value();
  Result<Descriptor> listener = listen_at(&content.address, settings.ports());
  if (!listener.ok()) return listener.status();
  content.secret = random_nonce();
  Result<std::unique_ptr<Server>> server = make_rendezvous(
      std::move(listener.value()), content.secret, kLingerS, settings.seconds(Setting::InitTimeout), -1);
  if (!server.ok()) return server.status();
  TUTTI_TRY(Server::start_detached(std::move(server.value()), "tutti-meet"));
  log_info(-1, "rendezvous at ", to_text(content.address));
  return encode_id(content);
}

}  // namespace

Result<UniqueId> make_unique_id(const Settings& settings) {
  TUTTI_TRY(prepare_crypto());
  if (const std::string& text = settings.text(Setting::CommId); !text.empty()) {
    Result<IdContent> content = id_from_text(text, settings.origin(Setting::CommId));
    if (!content.ok()) return content.status();
    if (!settings.text(Setting::SocketIfname).empty()) TUTTI_TRY(choose_interface(settings).status());  // wrong now, not later
    return encode_id(content.value());
  }
  return start_rendezvous(settings);
}

Result<UniqueId> make_child_id(const Settings& settings) {
  TUTTI_TRY(prepare_crypto());
  return start_rendezvous(settings);
}

}  // namespace tutti
