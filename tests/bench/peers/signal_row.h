/*
 * The row that every contestant inserts: the columns that `tradebook bench` fills.
 */
#ifndef TBK_BENCH_SIGNAL_ROW_H
#define TBK_BENCH_SIGNAL_ROW_H

#define SIGNAL_ROW_PRAGMAS "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-8192"
#define SIGNAL_ROW_INSERT                                                                                         \
    "INSERT INTO signals (timestamp,symbol,direction,confidence,tier,lstm_prediction,transformer_prediction,"     \
    "rl_prediction,ensemble_prediction,session,entry_price,tp_price,sl_price,latency_ms,model_version,strategy) " \
    "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"

#endif
