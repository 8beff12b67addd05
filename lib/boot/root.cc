// root: see root.h.
#include "lib/boot/root.h"

#include <atomic>

#include "lib/base/clock.h"

namespace tutti {
namespace {

constexpr int64_t kAnswerNs = 1'000'000'000;

}  // namespace

uint32_t next_comm_number() {
  static std::atomic<uint32_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

std::vector<std::string> pack_left(Roster& roster, const std::vector<int>& ranks, const Broken& broken) {
  std::vector<std::string> pieces;
  for (size_t first = 0; first < ranks.size();) {
    std::string body;
    uint32_t count = 0;
    for (; first < ranks.size() && body.size() < kMaxBlobBytes / 2; ++first, ++count) {
      const std::optional<Departure>& departure = roster.departure(ranks[first]);
      body += Writer().u32(static_cast<uint32_t>(ranks[first])).u32(departure.has_value()).departure(departure.value_or(Departure())).bytes();
    }
    pieces.push_back(Writer().u32(broken.round).u32(static_cast<uint32_t>(broken.rank)).u32(count).bytes() + body);
  }
  return pieces;
}

void Root::expect_all(int64_t deadline_ns) {
  deadline_ns_ = deadline_ns;
  came_.assign(static_cast<size_t>(roster_.ranks()), false);
  blobs_.resize(came_.size());
}

void Root::take(Kind kind, const std::string& payload) {
  if (kind == Kind::Leave) return part(payload);
  switch (kind) {
    case Kind::Call: return agreement_.take_call(payload);
    case Kind::Accept: return agreement_.take_accept(payload);
    case Kind::Decided: return agreement_.take_decided(payload);
    case Kind::Gone:
      if (const int rank = static_cast<int>(Reader(payload).u32()); roster_.has(rank) && roster_.here(rank) && !agreement_.has_called(rank))
        roster_.set(rank, Presence::Dead);  // else only one of its connections has ended
      return;
    default: break;
  }
  if (failed_) return;
  switch (kind) {
    case Kind::Member: return admit(payload);
    case Kind::Contribution: return contribute(payload);
    case Kind::GatherLate: return blame_late(payload);
    case Kind::Timeout: return take_timeout(payload);
    case Kind::Mismatch: return take_mismatch(payload);
    case Kind::Activity: return take_answer(payload, true);
    case Kind::Unanswered: return take_answer(payload, false);
    case Kind::Abort: return fail(Reader(payload).cause());
    case Kind::Vanished: return take_vanished(Reader(payload).cause());
    default: return;
  }
}

void Root::end_questions() {
  failed_ = true;
  deadline_ns_ = inquiry_end_ns_ = kNever;
  inquiry_.reset();
  blobs_.clear();
}

void Root::on_clock(int64_t now) {
  if (inquiry_ && (all_answered() || now >= inquiry_end_ns_)) end_inquiry();
  if (now >= deadline_ns_) {
    std::vector<int> missing;
    for (int rank = 0; rank < roster_.ranks(); ++rank)
      if (!came_[static_cast<size_t>(rank)]) missing.push_back(rank);
    fail({Code::RemoteError, missing.front(), concat(rank_list(missing), " came to the rendezvous, but not to the control plane")});
  }
  tell_left();
  agreement_.on_clock(now);
}

void Root::admit(const std::string& payload) {
  const Identity who = Reader(payload).identity();
  if (deadline_ns_ == kNever || !roster_.has(who.rank) || came_[static_cast<size_t>(who.rank)]) return;
  came_[static_cast<size_t>(who.rank)] = true;
  if (++present_ < roster_.ranks()) return;
  deadline_ns_ = kNever;
  below_.descend(Kind::Welcome, Writer().u32(next_comm_number()).bytes());
}

void Root::contribute(const std::string& payload) {
  Reader in(payload);
  const int rank = static_cast<int>(in.u32());
  const uint32_t round = in.u32();
  std::string blob = in.text(kMaxBlobBytes);
  if (!in.ok() || !roster_.has(rank) || broken_.rank >= 0 || blobs_.empty()) return;  // who has left is told to all
  std::optional<std::string>& mine = blobs_[static_cast<size_t>(rank)];
  if (round != round_ || mine)
    return fail({Code::InternalError, rank, concat(to_text(roster_.who(rank)), " broke the order of the all-gathers")});
  mine = std::move(blob);
  if (++contributions_ == roster_.ranks()) hand_out();
}

// In pieces of at most a frame.
void Root::hand_out() {
  std::vector<std::optional<std::string>> blobs(blobs_.size());
  blobs.swap(blobs_);
  contributions_ = 0;
  const uint32_t round = round_++;
  for (size_t first = 0, end = 0; first < blobs.size(); first = end) {
    size_t bytes = 0;
    while (end < blobs.size() && (end == first || bytes + blobs[end]->size() + 4 <= kMaxBlobBytes)) bytes += blobs[end++]->size() + 4;
    Writer out;
    out.u32(round).u32(static_cast<uint32_t>(first)).u32(static_cast<uint32_t>(end - first));
    for (size_t rank = first; rank < end; ++rank) out.text(*blobs[rank]);
    below_.descend(Kind::Gathered, out.bytes());
  }
}

void Root::part(const std::string& payload) {
  Reader in(payload);
  const int rank = static_cast<int>(in.u32());
  const bool known = in.u32() != 0;
  Departure departure = in.departure();
  departure.rank = rank;
  if (!in.ok() || !roster_.has(rank) || roster_.presence(rank) == Presence::Left) return;
  if (std::find(leaving_.begin(), leaving_.end(), rank) != leaving_.end()) return;
  if (broken_.rank < 0) broken_ = {round_, rank};
  if (known) roster_.departure(rank) = departure;
  leaving_.push_back(rank);
}

void Root::tell_left() {
  std::vector<int> ranks;
  ranks.swap(leaving_);
  for (const std::string& piece : pack_left(roster_, ranks, broken_)) below_.descend(Kind::Left, piece);
}

void Root::take_vanished(const Cause& cause) {
  if (!roster_.has(cause.rank) || roster_.presence(cause.rank) == Presence::Left) return;
  if (std::find(leaving_.begin(), leaving_.end(), cause.rank) == leaving_.end()) fail(cause);
}

void Root::blame_late(const std::string& payload) {
  Reader in(payload);
  const uint32_t round = in.u32();
  const std::string what = in.text(kMaxTextBytes);
  if (round != round_ || blobs_.empty() || broken_.rank >= 0) return;  // it has just been completed: the answer is on its way
  Inquiry inquiry{0, {}, concat(what, " did not finish in time"), true};
  for (int rank = 0; rank < roster_.ranks(); ++rank)
    if (!blobs_[static_cast<size_t>(rank)]) inquiry.suspects.push_back(rank);
  begin_inquiry(std::move(inquiry));
}

void Root::take_timeout(const std::string& payload) {
  Reader in(payload);
  Inquiry inquiry{};
  inquiry.text = in.text(kMaxTextBytes);
  inquiry.entered = in.u64();
  const uint32_t count = in.u32();
  for (uint32_t i = 0; i < count && in.ok(); ++i) inquiry.suspects.push_back(static_cast<int>(in.u32()));
  begin_inquiry(std::move(inquiry));
}

void Root::take_mismatch(const std::string& payload) {
  Reader in(payload);
  Inquiry inquiry{};
  inquiry.seen = in.cause();
  inquiry.number = in.u64();
  inquiry.text = in.text(kMaxTextBytes);
  begin_inquiry(std::move(inquiry));
}

void Root::begin_inquiry(Inquiry inquiry) {
  if (inquiry_) return;
  inquiry_ = std::move(inquiry);
  inquiry_end_ns_ = now_ns() + kAnswerNs;  // also for a second question
  ask();
}

// Asks all ranks what they are doing.
void Root::ask() {
  answers_.assign(static_cast<size_t>(roster_.ranks()), {.kind = Answer::Kind::Unreached, .activity = {}});
  below_.descend(Kind::Query, Writer().u32(++inquiries_).u64(inquiry_->asks_for()).bytes());
}

void Root::end_inquiry() {
  if (const std::optional<uint64_t> stuck = stuck_collective(*inquiry_, answers_)) {
    inquiry_->stuck = *stuck;
    return ask();
  }
  fail(conclude(*inquiry_, answers_));
}

// From a rank, or from the parent of a rank that says nothing.
void Root::take_answer(const std::string& payload, bool given) {
  Reader in(payload);
  const uint32_t number = in.u32();
  const int rank = static_cast<int>(in.u32());
  if (!inquiry_ || number != inquiries_ || !roster_.has(rank)) return;
  Answer& answer = answers_[static_cast<size_t>(rank)];
  if (answer.kind == Answer::Kind::Given) return;
  answer.kind = given ? Answer::Kind::Given : Answer::Kind::Silent;
  if (given) answer.activity = in.activity();
}

bool Root::all_answered() {
  bool all = true;
  for (int rank = 0; rank < roster_.ranks(); ++rank) {
    Answer& answer = answers_[static_cast<size_t>(rank)];
    if (roster_.presence(rank) == Presence::Left) {
      answer = {.kind = Answer::Kind::Left, .activity = {}};
      if (const std::optional<Departure>& departure = roster_.departure(rank)) answer.activity.entered = departure->calls;
    }
    all = all && answer.kind != Answer::Kind::Unreached;
  }
  return all;
}

}  // namespace tutti
