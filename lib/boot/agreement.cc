// agreement: see agreement.h.
#include "lib/boot/agreement.h"

#include <algorithm>
#include <cstring>

#include "lib/base/clock.h"
#include "lib/boot/root.h"

namespace tutti {
namespace {

constexpr int64_t kAcceptNs = 1'500'000'000;
constexpr int64_t kLongestWaitMs = 7 * 24 * 3600 * int64_t{1000};

}  // namespace

bool Vote::has(int rank) const { return std::find(generation.ranks.begin(), generation.ranks.end(), rank) != generation.ranks.end(); }

std::string pack(const Vote& vote) {
  Writer out;
  out.u32(vote.number).u64(vote.ballot).text({vote.generation.id.data(), vote.generation.id.size()}).u32(static_cast<uint32_t>(vote.generation.ranks.size()));
  for (const int rank : vote.generation.ranks) out.u32(static_cast<uint32_t>(rank));
  return out.bytes();
}

Vote read_vote(Reader& in) {
  Vote vote;
  vote.number = in.u32();
  vote.ballot = in.u64();
  std::string id = in.text(vote.generation.id.size());
  id.resize(vote.generation.id.size());
  std::memcpy(vote.generation.id.data(), id.data(), id.size());
  const uint32_t count = in.u32();
  for (uint32_t i = 0; i < count && in.ok(); ++i) vote.generation.ranks.push_back(static_cast<int>(in.u32()));
  return vote;
}

std::string pack(const Call& call) {
  return Writer()
             .u32(static_cast<uint32_t>(call.rank))
             .u32(call.number)
             .u64(static_cast<uint64_t>(call.left_ms))
             .u32(call.accepted.has_value())
             .bytes() +
         (call.accepted ? pack(*call.accepted) : "");
}

Call read_call(Reader& in) {
  Call call;
  call.rank = static_cast<int>(in.u32());
  call.number = in.u32();
  call.left_ms = std::clamp<int64_t>(static_cast<int64_t>(in.u64()), 0, kLongestWaitMs);
  if (in.u32() != 0) call.accepted = read_vote(in);
  return call;
}

Agreement::Agreement(Roster& roster, Descent& below, int rank, const std::function<Result<UniqueId>()>& make_id, const std::optional<Vote>& last)
    : roster_(roster), below_(below), make_id_(make_id), last_(last), deadline_ns_(kNever), accept_by_ns_(kNever) {
  // Roots follow one another in tree order.
  const auto& order = roster.order();
  ballot_ = static_cast<uint64_t>(std::find(order.begin(), order.end(), rank) - order.begin()) << 32;
}

// Only who was in the last generation can be in the next one.
bool Agreement::may_come(int rank) const { return roster_.has(rank) && (!last_ || last_->has(rank)); }

int64_t Agreement::wake_ns() const { return calls_.empty() ? kNever : proposal_ ? accept_by_ns_ : deadline_ns_; }

void Agreement::take_call(const std::string& payload) {
  Reader in(payload);
  const Call call = read_call(in);
  if (!in.ok() || !roster_.has(call.rank)) return;
  if (last_ && (call.number <= last_->number || !may_come(call.rank))) return below_.descend(Kind::Decided, pack(*last_));
  calls_[call.rank] = call;
  // A rank that calls is there, whatever was believed before.
  if (roster_.presence(call.rank) != Presence::Left) roster_.set(call.rank, Presence::Here);
  deadline_ns_ = std::min(deadline_ns_, now_ns() + call.left_ms * 1'000'000);
  if (!proposal_ || !proposal_->has(call.rank)) return;
  if (call.accepted && call.accepted->ballot == proposal_->ballot) return take_accept(Writer().u64(proposal_->ballot).u32(static_cast<uint32_t>(call.rank)).bytes());
  below_.descend(Kind::Proposal, pack(*proposal_));  // it has another parent now, and may have missed this
}

void Agreement::take_accept(const std::string& payload) {
  Reader in(payload);
  const uint64_t ballot = in.u64();
  const int rank = static_cast<int>(in.u32());
  if (!in.ok() || !proposal_ || ballot != proposal_->ballot || !proposal_->has(rank)) return;
  if (std::find(accepted_.begin(), accepted_.end(), rank) == accepted_.end()) accepted_.push_back(rank);
}

void Agreement::take_decided(const std::string& payload) {
  Reader in(payload);
  const Vote vote = read_vote(in);
  if (in.ok() && (!last_ || vote.number > last_->number)) decide(vote);
}

void Agreement::on_clock(int64_t now) {
  if (!proposal_) std::erase_if(calls_, [&](const auto& call) { return !roster_.here(call.first); });
  if (calls_.empty()) return;
  if (!proposal_) {
    bool all = true;
    for (int rank = 0; rank < roster_.ranks(); ++rank) all = all && (!may_come(rank) || calls_.count(rank) > 0 || gone(rank));
    if (all || now >= deadline_ns_) propose(now);
    return;
  }
  const std::vector<int>& ranks = proposal_->generation.ranks;
  if (accepted_.size() == ranks.size()) return decide(*proposal_);
  const bool died = std::any_of(ranks.begin(), ranks.end(), [&](int rank) { return !roster_.here(rank); });
  if (!died && now < accept_by_ns_) return;
  // They have called, and do not answer any more.
  for (const int rank : ranks)
    if (!roster_.here(rank) || (now >= accept_by_ns_ && std::find(accepted_.begin(), accepted_.end(), rank) == accepted_.end())) calls_.erase(rank);
  proposal_.reset();
  if (!calls_.empty()) propose(now);
}

// The ranks of a proposal of an earlier root have all accepted it, but for some that cannot be asked: one of these may know that it is decided.
bool Agreement::decided_by_silent_rank() {
  const Vote* highest = nullptr;
  for (const auto& [rank, call] : calls_)
    if (call.accepted && (!last_ || call.accepted->number > last_->number) && (!highest || call.accepted->ballot > highest->ballot))
      highest = &*call.accepted;
  if (!highest || highest->ballot >> 32 == ballot_ >> 32) return false;  // it was this root's own
  bool silent = false;
  for (const int rank : highest->generation.ranks) {
    const auto call = calls_.find(rank);
    if (call != calls_.end() && (!call->second.accepted || call->second.accepted->ballot != highest->ballot)) return false;
    silent = silent || (call == calls_.end() && roster_.has(rank) && roster_.presence(rank) != Presence::Dead && roster_.presence(rank) != Presence::Left);
  }
  if (silent) decide(Vote(*highest));
  return silent;
}

void Agreement::propose(int64_t now) {
  if (decided_by_silent_rank()) return;
  if (!id_) {
    Result<UniqueId> made = make_id_();
    if (!made.ok()) {
      calls_.clear();
      deadline_ns_ = kNever;
      return below_.descend(Kind::Undecided, Writer().text(concat("no rendezvous for the next generation: ", made.status().text())).bytes());
    }
    id_ = made.value();
  }
  Vote vote;
  vote.number = (last_ ? last_->number : 0) + 1;
  vote.ballot = ++ballot_;
  vote.generation.id = *id_;
  for (const auto& [rank, call] : calls_) vote.generation.ranks.push_back(rank);
  accepted_.clear();
  accept_by_ns_ = now + kAcceptNs;
  proposal_ = vote;
  below_.descend(Kind::Proposal, pack(vote));
}

void Agreement::decide(const Vote& vote) {
  last_ = vote;
  id_.reset();
  calls_.clear();
  proposal_.reset();
  deadline_ns_ = accept_by_ns_ = kNever;
  below_.descend(Kind::Decided, pack(*last_));
}

}  // namespace tutti
