// endpoint: a peer of this host.
#pragma once
#include "transports/shm/sender.h"

namespace tutti::shm {

class ShmEndpoint final : public Endpoint {
 public:
  // How this rank sees the peer's memory.
  struct Sight {
    std::byte* heap;    // mapped here, or null
    bool same_process;  // all of it
  };
  void open(Sender& sender, Arena& peer_arena, const Sight& sight, int rank, int peer);

  Progress post(Outgoing& outgoing, const Wire& wire) override;
  Progress receive(Incoming& incoming) override;
  void offer(Incoming& incoming) override;
  bool shows(const void* at) const override;
  std::byte* claim(const Wire& wire, size_t bytes) override;
  void deliver(Outgoing& outgoing, const Wire& wire) override;
  bool begin(Incoming& incoming) override;
  void release(Incoming& incoming) override;
  // After a failure: lets the peer's memory be, takes back this rank's as far as the peer has not begun with it; then waits for
  // the rest. What a peer in another process has not finished by the end it may go on reading, but not writing.
  void withdraw();
  void settle(const Deadline& end);

 private:
  bool writable(Lane& lane, uint32_t number) {
    return number / kAcksPerLine == lane.free_line || look(lane, number);
  }
  bool look(Lane& lane, uint32_t number);
  bool large_writable(Lane& lane, uint32_t number);
  void learn(Lane& lane, uint32_t number);
  bool point_to_payload(Lane& lane, Cell& cell, Outgoing& outgoing, uint32_t number);
  void publish(Cell& cell, const Wire& wire, size_t bytes);
  void count_post(Outgoing& outgoing);
  Where reference(const Outgoing& outgoing) const;

  Sender* sender_ = nullptr;
  Arena* peer_ = nullptr;
  Doorbell* bell_ = nullptr;  // the peer's
  Sight sight_{};
  std::atomic<uint32_t>* access_ = nullptr;  // the peer's to my memory
  Lane lanes_[kLanes];
};

}  // namespace tutti::shm
