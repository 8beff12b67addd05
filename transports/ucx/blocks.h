// blocks: memory for payloads that are packed, and for messages that came before their place was known.
//
// All blocks have one size, that of the longest message; the pages that short messages do not touch do not exist. Used again last
// in, first out, so that they stay in the cache.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace tutti::ucx {

struct Block {
  std::unique_ptr<std::byte[]> bytes;
  uint32_t users = 0;  // what still reads it
};

class Blocks {
 public:
  explicit Blocks(size_t block_bytes) : block_bytes_(block_bytes) {}

  size_t block_bytes() const { return block_bytes_; }
  // With one user.
  Block* take() {
    if (free_.empty()) {
      all_.push_back(std::make_unique<Block>(Block{std::unique_ptr<std::byte[]>(new std::byte[block_bytes_]), 0}));
      free_.reserve(all_.size());
      free_.push_back(all_.back().get());
    }
    Block* const block = free_.back();
    free_.pop_back();
    block->users = 1;
    return block;
  }
  void drop(Block* block) {
    if (--block->users == 0) free_.push_back(block);
  }

 private:
  const size_t block_bytes_;
  std::vector<std::unique_ptr<Block>> all_;
  std::vector<Block*> free_;
};

}  // namespace tutti::ucx
