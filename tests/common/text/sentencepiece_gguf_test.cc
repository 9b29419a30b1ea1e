// A SentencePiece model as llama.cpp's converter writes it into GGUF metadata: scores and types of
// pieces, no merges.
#include <cstring>
#include <fstream>
#include <iterator>

#include "tests/common/text/tokenizer_golden.h"

namespace banyan {
namespace {

struct Piece {
  std::string text;
  float score = 0;
  int32_t type = 1;  // normal; SentencePiece and GGUF number the types alike
};

// Just enough of protobuf's wire format for sentencepiece_model.proto: pieces are field 1 of the
// model; text, score and type are fields 1, 2 and 3 of a piece.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : bytes_(bytes) {}
  bool done() const { return at_ >= bytes_.size(); }
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<uint8_t>(bytes_.at(at_++));
      value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
  }
  std::string_view Bytes(size_t size) {
    const std::string_view bytes = bytes_.substr(at_, size);
    at_ += size;
    return bytes;
  }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
};

Piece ReadPiece(std::string_view bytes) {
  Piece piece;
  for (WireReader reader(bytes); !reader.done();) {
    const uint64_t tag = reader.Varint();
    if (tag == (1 << 3 | 2)) piece.text = reader.Bytes(reader.Varint());
    if (tag == (2 << 3 | 5)) std::memcpy(&piece.score, reader.Bytes(4).data(), 4);
    if (tag == (3 << 3 | 0)) piece.type = static_cast<int32_t>(reader.Varint());
  }
  return piece;
}

std::vector<Piece> ReadPieces(std::string_view model) {
  std::vector<Piece> pieces;
  for (WireReader reader(model); !reader.done();) {
    const uint64_t tag = reader.Varint();
    const std::string_view bytes = reader.Bytes(reader.Varint());  // all fields are messages
    if (tag == (1 << 3 | 2)) pieces.push_back(ReadPiece(bytes));
  }
  return pieces;
}

class GgufWriter {
 public:
  template <typename T>
  void Put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void PutString(std::string_view text) {
    Put<uint64_t>(text.size());
    bytes_ += text;
  }
  void PutArrayKey(std::string_view key, uint32_t item_type, size_t count) {
    PutString(key);
    Put<uint32_t>(9);
    Put(item_type);
    Put<uint64_t>(count);
  }
  void PutUint32(std::string_view key, uint32_t value) {
    PutString(key);
    Put<uint32_t>(4);
    Put(value);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_ = "GGUF";
};

std::string MakeGguf(const std::vector<Piece>& pieces) {
  GgufWriter out;
  out.Put<uint32_t>(3);
  out.Put<uint64_t>(0);
  out.Put<uint64_t>(6);
  out.PutString("tokenizer.ggml.model");
  out.Put<uint32_t>(8);
  out.PutString("llama");
  out.PutArrayKey("tokenizer.ggml.tokens", 8, pieces.size());
  for (const Piece& piece : pieces) out.PutString(piece.text);
  out.PutArrayKey("tokenizer.ggml.scores", 6, pieces.size());
  for (const Piece& piece : pieces) out.Put(piece.score);
  out.PutArrayKey("tokenizer.ggml.token_type", 5, pieces.size());
  for (const Piece& piece : pieces) out.Put(piece.type);
  out.PutUint32("tokenizer.ggml.bos_token_id", 1);
  out.PutUint32("tokenizer.ggml.unknown_token_id", 0);
  return out.bytes();
}

TEST(SentencePieceGgufTest, ScoresGiveTheTokensOfTheMerges) {
  std::ifstream file(testing::GoldenDir() / "tokenizers" / "mistral_v1" / "tokenizer.model",
                     std::ios::binary);
  const std::string model((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const std::vector<Piece> pieces = ReadPieces(model);
  ASSERT_EQ(pieces.size(), 32000u);
  const auto tokenizer = Tokenizer::Load({{{std::string(kGgufHeaderAsset), MakeGguf(pieces)}}});
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  testing::ExpectGoldenCases(**tokenizer, "mistral_v1");
}

}  // namespace
}  // namespace banyan
