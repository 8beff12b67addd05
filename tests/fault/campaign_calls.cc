// campaign_calls: makes, waits for and checks the calls of a step; see campaign_driver.h.
#include <algorithm>

#include "tests/fault/campaign_driver.h"
#include "tests/harness/ranks.h"

namespace tutti::test::campaign {

const Fault* Driver::mismatch_in(int index, int rank) const {
  for (const Fault& fault : world_.faults)
    if (fault.fate == Fate::Mismatch && fault.rank == rank && fault.step == index) return &fault;
  return nullptr;
}

tuttiStream_t Driver::stream(int index) {
  if (index < 0) return nullptr;
  tuttiStream_t& it = streams_[index];
  if (!it)
    if (const tuttiResult_t result = tuttiStreamCreate(&it); result != tuttiSuccess)
      throw Failure{std::string("tuttiStreamCreate: ") + tuttiGetLastError(nullptr), result};
  return it;
}

// A piece for each call and rank of this thread, in the order of the calls.
Driver::Pieces Driver::pieces_of(const Step& step, int index) {
  Pieces pieces;
  const auto add = [&](int comm, int rank, const Case& call, bool odd) {
    const int ranks = static_cast<int>(world_.comm(comm).members.size());
    pieces.push_back({std::make_unique<Part>(call, world_.place_in(comm, rank), ranks), comm, rank, odd, &call});
  };
  for (const Step::CallOn& one : step.calls) {
    for (const int rank : ranks_in(one.comm)) {
      const Fault* const fault = mismatch_in(index, rank);
      if (!fault) {
        add(one.comm, rank, one.call, false);
        continue;
      }
      FaultLog& fault_log = log_.faults[fault - world_.faults.data()];
      if (fault_log.at_ns == 0) fault_log.at_ns = now_ns();
      if (fault->odd) add(one.comm, rank, *fault->odd, true);
      if (fault->variant == kOneMore) add(one.comm, rank, one.call, true);
    }
  }
  return pieces;
}

void Driver::start_group() {
  if (const tuttiResult_t result = tuttiGroupStart(); result != tuttiSuccess) throw Failure{tuttiGetLastError(nullptr), result};
}

// Calls of several ranks of a communicator by one thread are made in a group.
void Driver::issue(const Step& step, Pieces& pieces) {
  if (step.grouped) start_group();
  for (size_t at = 0; at < pieces.size();) {
    const auto together = [&](const Piece& piece) { return piece.call == pieces[at].call && piece.comm == pieces[at].comm; };
    const size_t end = static_cast<size_t>(std::find_if_not(pieces.begin() + static_cast<ptrdiff_t>(at), pieces.end(), together) - pieces.begin());
    const bool group = end - at > 1 || ranks_in(pieces[at].comm).size() > 1;
    if (group) start_group();
    for (size_t i = at; i < end; ++i) {
      put(own_.call, describe(*pieces[i].call) + " on c" + std::to_string(pieces[i].comm));
      pieces[i].part->issue(handle(pieces[i].comm, pieces[i].rank), stream(pieces[i].call->stream));
    }
    if (group)
      if (const tuttiResult_t result = tuttiGroupEnd(); result != tuttiSuccess) throw Failure{tuttiGetLastError(nullptr), result};
    at = end;
  }
  if (step.grouped)
    if (const tuttiResult_t result = tuttiGroupEnd(); result != tuttiSuccess) throw Failure{tuttiGetLastError(nullptr), result};
}

void Driver::drain() {
  for (const auto& [number, it] : streams_)
    if (const tuttiResult_t result = tuttiStreamSynchronize(it); result != tuttiSuccess) throw Failure{tuttiGetLastError(nullptr), result};
}

// The communicator and rank of the piece whose failure the sentence tells; if none is known to be, of a piece that has failed.
std::pair<int, int> Driver::failed_of(const Pieces& pieces, const std::string& sentence) const {
  const Piece* found = nullptr;
  for (const Piece& piece : pieces) {
    const tuttiComm_t it = handle(piece.comm, piece.rank);
    tuttiResult_t state = tuttiSuccess;
    const tuttiResult_t asked = tuttiCommGetAsyncError(it, &state);
    if (asked == tuttiSuccess && state == tuttiSuccess) continue;
    if (!found) found = &piece;
    if (asked == tuttiSuccess && sentence.find(tuttiGetLastError(it)) != std::string::npos) return {piece.comm, piece.rank};
  }
  if (!found) found = &pieces.back();
  return {found->comm, found->rank};
}

// REQUIRES: the pieces are complete. False: another thread has aborted a communicator in the meantime.
bool Driver::check(Pieces& pieces) {
  for (Piece& piece : pieces) {
    if (piece.odd) continue;
    try {
      piece.part->check();
    } catch (const Failure& failure) {
      if (failure.result == tuttiSuccess) {
        note(Event::What::Wrong, piece.comm, piece.rank, tuttiSuccess, failure.text);
        continue;
      }
      failed(piece.comm, piece.rank, failure.result, tuttiGetLastError(nullptr));
      return false;
    }
  }
  return true;
}

// A Send or Recv to which the other rank makes no call.
bool Driver::lone_message(const Fault& fault, const Step& step) {
  const size_t count = fault.variant == 0 ? 6 : 300'001;
  void* memory = nullptr;
  std::vector<char> plain(fault.variant == 2 ? 0 : count);
  if (fault.variant == 2 && tuttiMemAlloc(&memory, count) != tuttiSuccess) throw Failure{"tuttiMemAlloc failed", tuttiSystemError};
  if (!memory) memory = plain.data();
  const tuttiComm_t it = handle(step.comm, fault.rank);
  tuttiResult_t result;
  {
    const Inside inside(*this, fault.fate == Fate::LoneSend ? "a Send that nobody receives" : "a Recv that nobody sends");
    result = fault.fate == Fate::LoneSend ? tuttiSend(memory, count, tuttiInt8, static_cast<int>(fault.amount), it, nullptr)
                                          : tuttiRecv(memory, count, tuttiInt8, static_cast<int>(fault.amount), it, nullptr);
  }
  if (result != tuttiSuccess) failed(step.comm, fault.rank, result, tuttiGetLastError(nullptr));
  if (fault.variant == 2) (void)tuttiMemFree(memory);
  return result == tuttiSuccess;
}

bool Driver::calls(const Step& step, int index) {
  for (size_t i = 0; i < world_.faults.size(); ++i) {
    const Fault& fault = world_.faults[i];
    const bool lone = fault.fate == Fate::LoneSend || fault.fate == Fate::LoneRecv;
    if (!lone || fault.step != index || world_.driver_of(fault.rank) != index_ || !handle(step.comm, fault.rank)) continue;
    log_.faults[i].at_ns = now_ns();
    if (!lone_message(fault, step)) return false;
  }
  Pieces pieces = pieces_of(step, index);
  if (pieces.empty()) return true;
  try {
    const Inside inside(*this, "calls");
    issue(step, pieces);
    if (step.drains) drain();
  } catch (const Failure& failure) {
    const std::string sentence = tuttiGetLastError(nullptr);
    std::move(pieces.begin(), pieces.end(), std::back_inserter(pending_));
    const auto [comm, rank] = failed_of(pending_, sentence);
    failed(comm, rank, failure.result, sentence);
    return false;
  }
  std::move(pieces.begin(), pieces.end(), std::back_inserter(pending_));
  if (!step.drains) return true;
  const bool all = check(pending_);
  if (all) pending_.clear();
  return all;
}

}  // namespace tutti::test::campaign
