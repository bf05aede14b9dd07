#pragma once
// The parts of the word2vec test program; each counts its checks by itself.

namespace fastrnn {
namespace testing {

void test_trees();
void test_alias_tables();
void test_text_reader();

}  // namespace testing
}  // namespace fastrnn
