using System.Buffers.Binary;
using Krewe.Abstractions;

namespace Krewe.Workers.Tests;

/// <summary>
/// A model whose next token is a hash of the whole history, which it reads back from the KV arena: each slot holds its
/// token and position. A lost, stale or misplaced block changes the tokens or throws.
/// </summary>
internal sealed class FakeRunner(int blocks, bool hostMemory = true, bool shared = false) : IModelRunner
{
    public const int Vocabulary = 211;
    public const int ContextMax = 400;
    private const int SlotBytes = 8;

    public static KvGeometry Geometry { get; } = new(Layers: 3, KvHeads: 1, HeadDim: 4, BlockTokens: 16, KvFormat.F32);

    public FakeArena Arena { get; } = new(blocks, hostMemory, shared);

    /// <summary>Called with each batch before it is computed; throws to play a fault.</summary>
    public Action<StepBatch>? BeforeRun { get; set; }

    /// <summary>Called before each layer of a batch is stored.</summary>
    public Action<int>? BeforeLayer { get; set; }

    /// <summary>A row of this token gives logits that are no numbers.</summary>
    public int? PoisonToken { get; set; }

    public int Steps { get; private set; }

    public int RowsMax { get; private set; }

    public int VocabularySize => Vocabulary;

    public int MaxContextTokens => ContextMax;

    public NumericsFingerprint Numerics { get; } = new("fake", "managed", 1, "F32", KvFormat.F32);

    public IKvArena Kv => Arena;

    public void Run(StepBatch batch)
    {
        BeforeRun?.Invoke(batch);
        Steps++;
        RowsMax = Math.Max(RowsMax, batch.RowCount);
        var logits = batch.ReserveLogits(Vocabulary);
        logits.Clear();
        for (var layer = 0; layer < Geometry.Layers; layer++)
        {
            BeforeLayer?.Invoke(layer);
            for (var row = 0; row < batch.RowCount; row++)
            {
                var slot = Slot(batch.SlotMapping[row], layer);
                BinaryPrimitives.WriteInt32LittleEndian(slot, batch.Tokens[row]);
                BinaryPrimitives.WriteInt32LittleEndian(slot[4..], batch.Positions[row]);
            }

            batch.Observer?.LayerStored(layer);
        }

        for (var i = 0; i < batch.LogitRowCount; i++)
        {
            var row = batch.LogitRows[i];
            var sequence = batch.Sequences.AsSpan(0, batch.SequenceCount).ToArray()
                .Single(rows => row >= rows.RowStart && row < rows.RowStart + rows.RowCount);
            var next = Next(ReadHistory(batch, sequence));
            logits[(i * Vocabulary) + next] = batch.Tokens[row] == PoisonToken ? float.NaN : 1;
        }
    }

    public void Dispose() => Arena.Dispose();

    /// <summary>What the model answers, computed without any engine.</summary>
    public static int[] Answer(IEnumerable<int> prompt, int count)
    {
        var tokens = prompt.ToList();
        var start = tokens.Count;
        for (var i = 0; i < count; i++) tokens.Add(Next(tokens));
        return [.. tokens.Skip(start)];
    }

    private static int Next(IEnumerable<int> history)
    {
        var hash = 14695981039346656037UL;
        foreach (var token in history) hash = (hash ^ (uint)token) * 1099511628211UL;
        return (int)((hash >> 20) % Vocabulary);
    }

    private List<int> ReadHistory(StepBatch batch, SequenceRows rows)
    {
        var history = new List<int>(rows.ContextTokens);
        for (var position = 0; position < rows.ContextTokens; position++)
        {
            var block = batch.BlockTables[rows.BlockTableStart + (position / Geometry.BlockTokens)];
            var token = 0;
            for (var layer = 0; layer < Geometry.Layers; layer++)
            {
                var slot = Slot((block * Geometry.BlockTokens) + (position % Geometry.BlockTokens), layer);
                var stored = BinaryPrimitives.ReadInt32LittleEndian(slot[4..]);
                var known = BinaryPrimitives.ReadInt32LittleEndian(slot);
                if (stored != position || (layer > 0 && known != token))
                {
                    throw new InvalidOperationException(
                        $"Block {block}, layer {layer} holds {known} at {stored} where {token} at {position} belongs.");
                }

                token = known;
            }

            history.Add(token);
        }

        return history;
    }

    private Span<byte> Slot(int slot, int layer) => Arena[slot / Geometry.BlockTokens].Span.Slice(
        (layer * Geometry.LayerBytes) + (slot % Geometry.BlockTokens * SlotBytes), SlotBytes);
}
