using System.Runtime.InteropServices;
using Krewe.Abstractions;
using Krewe.Kernels;
using Krewe.Kernels.Cuda;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>Brings a checkpoint of the Llama-like families to one GPU, as elements or INT8, K padded with
/// zeros.</summary>
internal sealed unsafe class CudaWeightLoader
{
    private readonly ModelConfig _config;
    private readonly Checkpoint _checkpoint;
    private readonly KvFormat _format;
    private readonly ServedWeights _form;
    private readonly CudaShard _shard;
    private readonly CudaUploader _uploader;
    private readonly List<DeviceMemory> _parts = [];

    private CudaWeightLoader(
        ModelFolder model, KvFormat format, ServedWeights form, CudaShard shard, CudaUploader uploader)
    {
        (_config, _checkpoint) = (model.Config, model.Weights);
        (_format, _form, _shard, _uploader) = (format, form, shard, uploader);
    }

    /// <param name="format">BF16 or F16: what weights are rounded to where they are stored otherwise.</param>
    /// <exception cref="ModelException">A tensor is missing or has another shape than the rest asks for.</exception>
    /// <exception cref="CudaException">The GPU has no room.</exception>
    public static CudaWeights Load(
        ModelFolder model, CudaDevice device, KvFormat format, ServedWeights form, CudaShard shard)
    {
        using var uploader = new CudaUploader(device);
        var loader = new CudaWeightLoader(model, format, form, shard, uploader);
        try
        {
            var weights = loader.Load();
            uploader.Finish();
            return weights;
        }
        catch
        {
            uploader.Finish();
            loader._parts.ForEach(part => part.Dispose());
            throw;
        }
    }

    private CudaWeights Load()
    {
        var layers = new CudaLayer[_config.Layers];
        for (var layer = 0; layer < layers.Length; layer++) layers[layer] = LoadLayer(layer);
        var stride = LinearPlan.PaddedInputs(_config.HiddenSize);
        var embedding = _checkpoint.Get(WeightNames.Embedding, _config.VocabularySize, _config.HiddenSize);
        var (cosine, sine) = LoadAngles();
        return new CudaWeights(_parts)
        {
            Embedding = Upload(
                _config.VocabularySize, stride * sizeof(ushort), Elements([Whole(embedding)]), WeightNames.Embedding),
            EmbeddingStride = stride,
            Layers = layers,
            FinalNorm = LoadVector(WeightNames.FinalNorm, _config.HiddenSize),
            Head = LoadMatrix(
                [Whole(_checkpoint.Get(
                    _config.TieEmbeddings ? WeightNames.Embedding : WeightNames.Head, _config.VocabularySize,
                    _config.HiddenSize))],
                whole: true),
            Cosine = cosine,
            Sine = sine,
            Formats = _form == ServedWeights.Int8 ? "INT8" : _format.ToString(),
        };
    }

    private CudaLayer LoadLayer(int layer)
    {
        var (hidden, dims, intermediate) = (_config.HiddenSize, _config.HeadDim, _config.IntermediateSize);
        var heads = Scaled(_shard.Of(_config.Heads), dims);
        var kvHeads = Scaled(_shard.Of(_config.KvHeads), dims);
        var width = _shard.Of(intermediate);
        // A rank's own chunks would be added before the ranks': with few rows in another order than with many.
        var whole = _shard.Ranks > 1;
        return new CudaLayer
        {
            AttentionNorm = LoadVector(In(WeightNames.AttentionNorm), hidden),
            QueryKeyValue = LoadMatrix(
                [
                    Rows(In(WeightNames.Query) + ".weight", _config.Heads * dims, hidden, heads),
                    Rows(In(WeightNames.Key) + ".weight", _config.KvHeads * dims, hidden, kvHeads),
                    Rows(In(WeightNames.Value) + ".weight", _config.KvHeads * dims, hidden, kvHeads),
                ],
                whole: false),
            Bias = _config.AttentionBias ? LoadBias(layer, heads, kvHeads) : 0,
            QueryNorm = _config.QkNorm ? LoadVector(In(WeightNames.QueryNorm), dims) : 0,
            KeyNorm = _config.QkNorm ? LoadVector(In(WeightNames.KeyNorm), dims) : 0,
            AttentionOutput = LoadMatrix(
                [Columns(In(WeightNames.AttentionOutput), hidden, _config.Heads * dims, heads)], whole),
            FeedForwardNorm = LoadVector(In(WeightNames.FeedForwardNorm), hidden),
            GateUp = LoadMatrix(
                [
                    Rows(In(WeightNames.Gate), intermediate, hidden, width),
                    Rows(In(WeightNames.Up), intermediate, hidden, width),
                ],
                whole: false),
            Down = LoadMatrix([Columns(In(WeightNames.Down), hidden, intermediate, width)], whole),
        };

        string In(string name) => WeightNames.InLayer(layer, name);
    }

    private static (int First, int Count) Scaled((int First, int Count) range, int by) =>
        (range.First * by, range.Count * by);

    private static Slice Whole(Tensor tensor) =>
        new(tensor, (int)tensor.Shape[1], 0, (int)tensor.Shape[0], 0, (int)tensor.Shape[1]);

    private Slice Rows(string name, int outputs, int inputs, (int First, int Count) rows) =>
        new(_checkpoint.Get(name, outputs, inputs), inputs, rows.First, rows.Count, 0, inputs);

    private Slice Columns(string name, int outputs, int inputs, (int First, int Count) columns) =>
        new(_checkpoint.Get(name, outputs, inputs), inputs, 0, outputs, columns.First, columns.Count);

    /// <summary>Slices stand one below the other.</summary>
    private GpuMatrix LoadMatrix(Slice[] slices, bool whole)
    {
        var outputs = slices.Sum(slice => slice.RowCount);
        var inputs = LinearPlan.PaddedInputs(slices[0].ColumnCount);
        var chunk = LinearPlan.ChunkInputs(outputs, inputs, whole);
        var name = slices[0].Tensor.Name;
        if (_form != ServedWeights.Int8)
        {
            return new GpuMatrix(
                Upload(outputs, inputs * sizeof(ushort), Elements(slices), name), 0, outputs, inputs, chunk);
        }

        var scales = new float[outputs];
        var values = new float[slices[0].ColumnCount];
        var codes = Upload(
            outputs, inputs,
            (row, target) =>
            {
                Read(slices, row, values);
                scales[row] = Int8Row.ScaleOf(values);
                target.Clear();
                for (var i = 0; i < values.Length; i++) target[i] = (byte)Int8Row.Round(values[i], scales[row]);
            },
            name);
        return new GpuMatrix(codes, Upload(scales, name), outputs, inputs, chunk);
    }

    /// <summary>Rows as elements, zeros behind their end.</summary>
    private CudaUploader.FillRow Elements(Slice[] slices)
    {
        var stored = _format == KvFormat.F16 ? DType.F16 : DType.BF16;
        var values = new float[slices[0].ColumnCount];
        return (row, target) =>
        {
            var elements = MemoryMarshal.Cast<byte, ushort>(target);
            elements[values.Length..].Clear();
            var (slice, own) = Find(slices, row);
            if (slice.Tensor.Type == stored)
            {
                new ReadOnlySpan<ushort>(slice.Tensor.Data + (slice.Start(own) * sizeof(ushort)), values.Length)
                    .CopyTo(elements);
                return;
            }

            Read(slices, row, values);
            for (var i = 0; i < values.Length; i++)
            {
                elements[i] = _format == KvFormat.F16
                    ? BitConverter.HalfToUInt16Bits((Half)values[i])
                    : KvNumber.ToBrain(values[i]);
            }
        };
    }

    private static void Read(Slice[] slices, int row, float[] values)
    {
        var (slice, own) = Find(slices, row);
        slice.Tensor.CopyTo(values, slice.Start(own));
    }

    private static (Slice Slice, int Row) Find(Slice[] slices, int row)
    {
        foreach (var slice in slices)
        {
            if (row < slice.RowCount) return (slice, row);
            row -= slice.RowCount;
        }

        throw new ArgumentOutOfRangeException(nameof(row), row, "Behind the last slice.");
    }

    private nint LoadBias(int layer, (int First, int Count) heads, (int First, int Count) kvHeads)
    {
        var all = new List<float>();
        foreach (var (name, count, part) in new[]
        {
            (WeightNames.Query, _config.Heads, heads), (WeightNames.Key, _config.KvHeads, kvHeads),
            (WeightNames.Value, _config.KvHeads, kvHeads),
        })
        {
            var bias = new float[count * _config.HeadDim];
            _checkpoint.Get(WeightNames.InLayer(layer, name) + ".bias", bias.Length).CopyTo(bias);
            all.AddRange(bias.AsSpan(part.First, part.Count));
        }

        return Upload([.. all], WeightNames.Query);
    }

    private (nint Cosine, nint Sine) LoadAngles()
    {
        var rotary = new RotaryAngles(ModelRunners.Rotary(_config));
        var bytes = rotary.Pairs * sizeof(float);
        var (cosine, sine) = (new float[rotary.Pairs], new float[rotary.Pairs]);
        nint Table(float[] wanted) => Upload(
            _config.MaxPositions, bytes,
            (position, target) =>
            {
                fixed (float* c = cosine, s = sine) rotary.Fill(position, c, s);
                MemoryMarshal.AsBytes(wanted.AsSpan()).CopyTo(target);
            },
            "rotary angles");
        return (Table(cosine), Table(sine));
    }

    private nint LoadVector(string name, int length)
    {
        var values = new float[length];
        _checkpoint.Get(name, length).CopyTo(values);
        return Upload(values, name);
    }

    private nint Upload(float[] values, string purpose) => Upload(
        1, values.Length * sizeof(float), (_, target) => MemoryMarshal.AsBytes(values.AsSpan()).CopyTo(target),
        purpose);

    private nint Upload(int rows, long rowBytes, CudaUploader.FillRow fill, string purpose)
    {
        var memory = _uploader.Upload(rows, rowBytes, fill, purpose);
        _parts.Add(memory);
        return memory.Address;
    }

    /// <summary>Rows and columns of a tensor of <paramref name="Width"/> columns.</summary>
    private sealed record Slice(
        Tensor Tensor, int Width, int FirstRow, int RowCount, int FirstColumn, int ColumnCount)
    {
        /// <summary>Index of a row's first element in the tensor.</summary>
        public long Start(int row) => ((long)(FirstRow + row) * Width) + FirstColumn;
    }
}
