// endpoint: a peer of this host.
#pragma once
#include "transports/shm/bell.h"
#include "transports/shm/sender.h"

namespace tutti::shm {

class ShmEndpoint final : public Endpoint, public MappedEndpoint {
 public:
  // Which memory of the peer this rank can reach.
  struct Mapped {
    std::byte* heap;    // mapped here, or null
    size_t heap_bytes;
    bool same_process;  // the peer runs in this process: all its memory can be read
  };
  ShmEndpoint() : MappedEndpoint(kLeastDirect) {}
  void open(Sender& sender, const Bell& bell, Arena& peer_arena, const Mapped& mapped, const Distance& distance, int rank, int peer);

  Progress post(Outgoing& outgoing, const Wire& wire) override;
  Progress receive(Incoming& incoming) override;
  void offer(Incoming& incoming) override;
  bool shows(const void* at) const override;
  std::byte* claim(const Wire& wire, size_t bytes) override;
  Way way(size_t bytes) const override { return distance_.way(bytes); }
  void deliver(Outgoing& outgoing, const Wire& wire) override;
  bool begin(Incoming& incoming) override;
  void release(Incoming& incoming) override;
  Status failure() const override { return failure_; }
  MappedEndpoint* mapped() override { return this; }
  // After a failure: lets the peer's memory be, takes back this rank's as far as the peer has not begun with it; then waits for
  // the rest. What a peer in another process has not finished by the end it may go on reading, but not writing.
  void withdraw();
  // Adds the first message of each lane that nobody has received. REQUIRES: this rank has set `left` in its arena.
  void add_untaken(std::vector<Untaken>& untaken) const;
  void settle(const Deadline& end);

 private:
  bool writable(Lane& lane, uint32_t number) {
    return number / kAcksPerLine == lane.free_line || look(lane, number);
  }
  bool look(Lane& lane, uint32_t number);
  bool large_writable(Lane& lane, uint32_t number);
  void learn(Lane& lane, uint32_t number);
  void ring() {
    if (sleeps(*doorbell_)) [[unlikely]]
      wake();
  }
  void wake();
  bool put(Outgoing& outgoing, const Wire& wire);
  bool point_to_payload(Lane& lane, Cell& cell, Outgoing& outgoing, uint32_t number);
  void publish(Cell& cell, const Wire& wire, size_t bytes);
  Progress receive_elsewhere(const Cell& cell, Incoming& incoming);
  void count_post(Outgoing& outgoing);
  Where reference(const Outgoing& outgoing) const;

  Sender* sender_ = nullptr;
  Arena* peer_ = nullptr;
  const Bell* bell_ = nullptr;  // my own: it rings the peer's
  Doorbell* doorbell_ = nullptr;  // the peer's
  Mapped mapped_{};
  PeerWords* words_ = nullptr;  // in my arena
  int rank_ = -1, peer_rank_ = -1;
  Status failure_;
  Distance distance_;
  Lane lanes_[kLanes];
};

}  // namespace tutti::shm
