using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Krewe.Kernels;

namespace Krewe.Workers.Benching.Gpu;

/// <summary>
/// A Llama of some shape with random BF16 weights, written as a model folder: what a step costs does not depend on what
/// the weights are, and a machine for checks needs no download.
/// </summary>
public sealed record RandomModel(
    string Name, int Hidden, int Layers, int Heads, int KvHeads, int HeadDim, int Intermediate, int Vocabulary,
    int MaxPositions)
{
    private static readonly string[] Architectures = ["LlamaForCausalLM"];

    /// <summary>The shape of Llama 3.2 1B.</summary>
    public static RandomModel OneBillion { get; } = new("random-1b", 2048, 16, 32, 8, 64, 8192, 128256, 16384);

    /// <summary>The shape of Llama 3.1 8B.</summary>
    public static RandomModel EightBillion { get; } = new("random-8b", 4096, 32, 32, 8, 128, 14336, 128256, 16384);

    /// <summary>To see that it works.</summary>
    public static RandomModel Small { get; } = new("random-small", 128, 2, 2, 1, 64, 256, 1024, 1024);

    /// <summary>Of the weights.</summary>
    public long Bytes => Tensors().Sum(tensor => tensor.Elements) * sizeof(ushort);

    /// <summary>Writes the folder; replaces what is there under these names.</summary>
    /// <param name="tokenizer">A model folder whose tokenizer it gets.</param>
    public void Write(string directory, string tokenizer)
    {
        Directory.CreateDirectory(directory);
        foreach (var file in (string[])["tokenizer.json", "tokenizer_config.json"])
            File.Copy(Path.Combine(tokenizer, file), Path.Combine(directory, file), overwrite: true);
        File.WriteAllText(Path.Combine(directory, "config.json"), JsonSerializer.Serialize(new Dictionary<string, object>
        {
            ["architectures"] = Architectures,
            ["model_type"] = "llama",
            ["vocab_size"] = Vocabulary,
            ["hidden_size"] = Hidden,
            ["intermediate_size"] = Intermediate,
            ["num_hidden_layers"] = Layers,
            ["num_attention_heads"] = Heads,
            ["num_key_value_heads"] = KvHeads,
            ["head_dim"] = HeadDim,
            ["rms_norm_eps"] = 1e-5,
            ["rope_theta"] = 500000.0,
            ["max_position_embeddings"] = MaxPositions,
            ["tie_word_embeddings"] = true,
            ["hidden_act"] = "silu",
            ["bos_token_id"] = 0,
            ["eos_token_id"] = 1,
            ["torch_dtype"] = "bfloat16",
        }));
        WriteWeights(Path.Combine(directory, "model.safetensors"));
    }

    private void WriteWeights(string path)
    {
        var (header, at) = (new Dictionary<string, object>(), 0L);
        foreach (var (name, shape, elements) in Tensors())
        {
            var end = at + (elements * sizeof(ushort));
            header.Add(name, new Dictionary<string, object>
            {
                ["dtype"] = "BF16",
                ["shape"] = shape,
                ["data_offsets"] = new[] { at, end },
            });
            at = end;
        }

        var text = JsonSerializer.Serialize(header);
        // Data begin at a multiple of 8 bytes.
        var head = Encoding.UTF8.GetBytes(text.PadRight((text.Length + 7) / 8 * 8));
        using var file = File.Create(path, 1 << 20);
        Span<byte> length = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(length, head.Length);
        file.Write(length);
        file.Write(head);
        var random = new Random(1);
        var (weights, ones) = (new ushort[1 << 19], new ushort[1 << 19]);
        for (var i = 0; i < weights.Length; i++)
            weights[i] = KvNumber.ToBrain((float)((random.NextDouble() * 2) - 1) * MathF.Sqrt(3f / Hidden));
        Array.Fill(ones, KvNumber.ToBrain(1));
        foreach (var (_, shape, elements) in Tensors())
        {
            // The same megabyte again and again: no cache holds a matrix all the same.
            var tile = shape.Length == 1 ? ones : weights;
            for (var left = elements; left > 0; left -= tile.Length)
                file.Write(MemoryMarshal.AsBytes(tile.AsSpan(0, (int)Math.Min(left, tile.Length))));
        }
    }

    private IEnumerable<(string Name, int[] Shape, long Elements)> Tensors()
    {
        yield return Tensor(WeightNames.Embedding, Vocabulary, Hidden);
        yield return Tensor(WeightNames.FinalNorm, Hidden);
        for (var layer = 0; layer < Layers; layer++)
        {
            yield return Tensor(WeightNames.InLayer(layer, WeightNames.AttentionNorm), Hidden);
            yield return Tensor(WeightNames.InLayer(layer, WeightNames.FeedForwardNorm), Hidden);
            yield return Tensor(WeightNames.InLayer(layer, $"{WeightNames.Query}.weight"), Heads * HeadDim, Hidden);
            yield return Tensor(WeightNames.InLayer(layer, $"{WeightNames.Key}.weight"), KvHeads * HeadDim, Hidden);
            yield return Tensor(WeightNames.InLayer(layer, $"{WeightNames.Value}.weight"), KvHeads * HeadDim, Hidden);
            yield return Tensor(WeightNames.InLayer(layer, WeightNames.AttentionOutput), Hidden, Heads * HeadDim);
            yield return Tensor(WeightNames.InLayer(layer, WeightNames.Gate), Intermediate, Hidden);
            yield return Tensor(WeightNames.InLayer(layer, WeightNames.Up), Intermediate, Hidden);
            yield return Tensor(WeightNames.InLayer(layer, WeightNames.Down), Hidden, Intermediate);
        }
    }

    private static (string Name, int[] Shape, long Elements) Tensor(string name, params int[] shape) =>
        (name, shape, shape.Aggregate(1L, (product, extent) => product * extent));
}
