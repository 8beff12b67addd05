// node_generation: how a rank takes part in agreeing on the next generation (agreement.h); see node.h.
//
// Meanwhile a rank asks its parent every half second for a sign of life. If the parent gives none for 2 s, the rank leaves it and sends it
// Shunned. A root that was stopped reads that when it wakes up, and decides nothing any more.
#include <algorithm>

#include "lib/base/clock.h"
#include "lib/boot/node.h"
#include "lib/boot/unique_id.h"

namespace tutti {
namespace {

constexpr int64_t kProbeNs = 100'000'000;

}  // namespace

void Node::begin_call(int64_t left_ms) {
  if (shunned_) return control_.settle(shunned_text());
  if (decided_ && !decided_->has(rank_)) return control_.settle(excluded_text());
  calls_ = true;
  call_by_ns_ = now_ns() + left_ms * 1'000'000;
  rise_call();
}

void Node::rise_call() {
  const int64_t left_ms = std::max<int64_t>(call_by_ns_ - now_ns(), 0) / 1'000'000;
  rise(Kind::Call, pack(Call{rank_, wanted(), left_ms, accepted_}));
}

// A call passes by: this rank needs a way to the root.
void Node::note_call() {
  regenerating_ = true;
  if (root_ || parent_ || next_ || !welcomed_ || shunned_) return;
  seeking_ = true;
  seek_at_ns_ = 0;
}

void Node::take_proposal(const std::string& payload) {
  forward(Kind::Proposal, payload);
  Reader in(payload);
  Vote vote = read_vote(in);
  if (!in.ok() || !calls_ || vote.number != wanted() || !vote.has(rank_)) return;
  accepted_ = std::move(vote);
  rise(Kind::Accept, Writer().u64(accepted_->ballot).u32(static_cast<uint32_t>(rank_)).bytes());
}

void Node::take_undecided(const std::string& payload) {
  forward(Kind::Undecided, payload);
  regenerating_ = false;
  if (std::exchange(calls_, false)) control_.settle(fail(Code::SystemError, Reader(payload).text(kMaxTextBytes)));
}

void Node::take_decided(const std::string& payload) {
  forward(Kind::Decided, payload);
  Reader in(payload);
  Vote vote = read_vote(in);
  if (!in.ok() || (decided_ && vote.number < decided_->number)) return;
  const bool awaited = calls_ && vote.number >= wanted();
  if (!decided_ || vote.number > decided_->number) {
    decided_ = std::move(vote);
    accepted_.reset();
    regenerating_ = false;
  }
  if (!awaited && !(calls_ && !decided_->has(rank_))) return;
  calls_ = false;
  if (decided_->has(rank_)) return control_.settle(decided_->generation);
  control_.settle(excluded_text());
}

// What a new root has to know.
void Node::repeat_generation() {
  for (int rank = 0; rank < roster_.ranks(); ++rank)
    if (roster_.presence(rank) == Presence::Dead) rise(Kind::Gone, Writer().u32(static_cast<uint32_t>(rank)).bytes());
  if (decided_) rise(Kind::Decided, pack(*decided_));
  if (calls_) rise_call();
}

// After a failure, a rank that has lost its parent and does not call is connected to nobody: only asking shows that it has died.
void Node::probe(int64_t now) {
  if (!root_ || !regenerating_) return probe_.reset();
  if (probe_) {
    const Dial::State state = probe_->dial->advance();
    if (state == Dial::State::Pending && now < probe_at_ns_) return;
    if ((state == Dial::State::Refused || state == Dial::State::Lost) && roster_.here(probe_->rank)) roster_.set(probe_->rank, Presence::Dead);
    probe_.reset();
  } else if (now < probe_at_ns_) {
    return;
  }
  probe_at_ns_ = now + kProbeNs;  // for an answer, or for the next round
  for (++probed_; probed_ < roster_.ranks(); ++probed_) {
    const Seat& seat = roster_.seat(probed_);
    if (probed_ == rank_ || !root_->awaits(probed_)) continue;
    probe_.emplace();
    probe_->rank = probed_;
    probe_->dial.emplace(seat.address, node_key(secret_, seat.salt));
    return;
  }
  probed_ = -1;
}

// The others have another root.
void Node::step_down() {
  if (!root_) return;
  root_.reset();
  shunned_ = true;
  for (Child& child : children_) {
    if (!child.moved) child.peer->connection.send(Kind::Goodbye, "");
    child.goodbye = true;
  }
  if (std::exchange(calls_, false)) control_.settle(shunned_text());
}

Status Node::shunned_text() const {
  return fail(Code::RemoteError, to_text(own_identity(rank_)), " did not answer for a while (stopped or swapped out?), so that the other ranks go on without it");
}

Status Node::excluded_text() const {
  return fail(Code::RemoteError, to_text(own_identity(rank_)), " did not call or answer in time: ", rank_list(decided_->generation.ranks),
              " have agreed to go on without it");
}

}  // namespace tutti
