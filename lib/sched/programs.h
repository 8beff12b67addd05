// programs: the programs of all ranks as a claim sees them, and what is wrong with each of them alone.
//
// That is: shapes and bounds, who may read and write what, the order of works, races within a rank, totals of lanes. Faults that show only
// between ranks are in check.cc.
#pragma once
#include <span>

#include "lib/base/status.h"
#include "lib/sched/check.h"
#include "lib/sched/print.h"
#include "lib/sched/program.h"

namespace tutti {

// Refers to the claim and the programs.
class Programs {
 public:
  Programs(const Claim& claim, std::span<const Program> programs)
      : claim_(claim), programs_(programs), ranks_(static_cast<int>(programs.size())), chunks_(programs.empty() ? 0 : programs[0].chunks) {}

  // The first fault of a program alone. Messages have valid peers and channels afterwards.
  Status check_each() const;
  // Whether a program states how many messages each of its lanes has. REQUIRES: check_each() succeeded.
  Status check_lanes(int rank) const;

  int ranks() const { return ranks_; }
  uint32_t chunks() const { return chunks_; }  // of every rank, once checked
  const Program& operator[](int rank) const { return programs_[static_cast<size_t>(rank)]; }
  // Chunks of a block, and the block that a chunk belongs to.
  uint32_t pieces() const { return chunks_ / blocks_of(claim_.collective, ranks_); }
  uint32_t block_of(uint32_t chunk) const { return chunk / pieces(); }
  bool in_place(int rank) const {
    return claim_.in_place_of.empty() ? claim_.in_place : claim_.in_place_of[static_cast<size_t>(rank)];
  }
  // Whether chunks a and b are cut to the same size by every count.
  bool same_size(uint32_t a, uint32_t b) const {
    if (claim_.collective != Collective::AlltoAll) return a % chunks_ == b % chunks_;
    return a % pieces() == b % pieces();  // if blocks differ in size, check.cc looks at sender and receiver as well
  }
  // "AllReduce rank 1 work 3 (...): ", then the arguments.
  template <typename... Args>
  Status wrong(int rank, const Work& work, const Args&... args) const {
    return fail(Code::InternalError, name_of(claim_.collective), " rank ", rank, " work ",
                &work - (*this)[rank].works.data(), " (", text_of((*this)[rank], work), "): ", args...);
  }

 private:
  Status check_shapes() const;
  Status check_work(int rank, const Work& work) const;
  Status check_may_write(int rank, const Work& work) const;
  Status check_passes(int rank, const Work& work) const;
  Status check_order(int rank) const;
  Status check_races(int rank) const;
  Status check_peers(int rank) const;
  bool fits(const Program& program, Ref ref, uint32_t chunks) const;
  bool overlap_in_part(int rank, Ref a, Ref b, uint32_t chunks) const;
  Buffer memory(int rank, Ref ref) const;

  const Claim& claim_;
  const std::span<const Program> programs_;
  const int ranks_;
  const uint32_t chunks_;
};

}  // namespace tutti
