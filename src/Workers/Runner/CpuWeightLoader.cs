using Krewe.Abstractions;
using Krewe.Kernels;
using Krewe.Models;

namespace Krewe.Workers;

/// <summary>Reads a checkpoint of the Llama-like families and packs it; what differs between families is configuration.
/// </summary>
internal sealed unsafe class CpuWeightLoader
{
    private readonly ModelConfig _config;
    private readonly Checkpoint _checkpoint;
    private readonly CpuKernels _kernels;
    private readonly ServedWeights _form;
    private readonly List<IDisposable> _parts = [];
    private readonly SortedSet<string> _formats = new(StringComparer.Ordinal);

    private CpuWeightLoader(ModelFolder model, CpuKernels kernels, ServedWeights form) =>
        (_config, _checkpoint, _kernels, _form) = (model.Config, model.Weights, kernels, form);

    /// <exception cref="ModelException">A tensor is missing or has another shape or type than the rest asks
    /// for.</exception>
    public static CpuWeights Load(ModelFolder model, CpuKernels kernels, ServedWeights form)
    {
        var loader = new CpuWeightLoader(model, kernels, form);
        try
        {
            return loader.Load();
        }
        catch
        {
            loader._parts.ForEach(part => part.Dispose());
            throw;
        }
    }

    private CpuWeights Load()
    {
        var layers = new CpuLayer[_config.Layers];
        for (var layer = 0; layer < layers.Length; layer++)
            layers[layer] = LoadLayer(layer);
        var head = _config.TieEmbeddings ? WeightNames.Embedding : WeightNames.Head;
        return new CpuWeights(_parts)
        {
            Embedding = _checkpoint.Get(WeightNames.Embedding, _config.VocabularySize, _config.HiddenSize),
            Layers = layers,
            FinalNorm = LoadVector(WeightNames.FinalNorm, _config.HiddenSize),
            Head = LoadMatrix(head, _config.VocabularySize, _config.HiddenSize),
            Formats = string.Join('+', _formats),
        };
    }

    private CpuLayer LoadLayer(int layer)
    {
        var (hidden, attention) = (_config.HiddenSize, _config.Heads * _config.HeadDim);
        return new CpuLayer
        {
            AttentionNorm = LoadVector(In(WeightNames.AttentionNorm), hidden),
            QueryKeyValue = LoadQueryKeyValue(layer),
            QueryNorm = _config.QkNorm ? LoadVector(In(WeightNames.QueryNorm), _config.HeadDim) : null,
            KeyNorm = _config.QkNorm ? LoadVector(In(WeightNames.KeyNorm), _config.HeadDim) : null,
            AttentionOutput = LoadMatrix(In(WeightNames.AttentionOutput), hidden, attention),
            FeedForwardNorm = LoadVector(In(WeightNames.FeedForwardNorm), hidden),
            GateUp = LoadGateUp(layer),
            Down = LoadMatrix(In(WeightNames.Down), hidden, _config.IntermediateSize),
        };

        string In(string name) => WeightNames.InLayer(layer, name);
    }

    private PackedMatrix LoadQueryKeyValue(int layer)
    {
        var (queries, keys) = (_config.Heads * _config.HeadDim, _config.KvHeads * _config.HeadDim);
        var projections = new[]
        {
            (Name: WeightNames.InLayer(layer, WeightNames.Query), Outputs: queries),
            (Name: WeightNames.InLayer(layer, WeightNames.Key), Outputs: keys),
            (Name: WeightNames.InLayer(layer, WeightNames.Value), Outputs: keys),
        };
        var tensors = Array.ConvertAll(
            projections, part => _checkpoint.Get(part.Name + ".weight", part.Outputs, _config.HiddenSize));
        DemandOneType(tensors);
        var matrix = Own(_kernels.CreateMatrix(queries + (2 * keys), _config.HiddenSize, FormatOf(tensors[0])));
        var first = 0;
        for (var i = 0; i < tensors.Length; i++)
        {
            Pack(matrix, tensors[i], 0, projections[i].Outputs, first);
            if (_config.AttentionBias)
            {
                var bias = new float[projections[i].Outputs];
                _checkpoint.Get(projections[i].Name + ".bias", bias.Length).CopyTo(bias);
                matrix.SetBias(bias, first);
            }

            first += projections[i].Outputs;
        }

        return matrix;
    }

    private PackedMatrix LoadGateUp(int layer)
    {
        var (hidden, intermediate) = (_config.HiddenSize, _config.IntermediateSize);
        var gate = _checkpoint.Get(WeightNames.InLayer(layer, WeightNames.Gate), intermediate, hidden);
        var up = _checkpoint.Get(WeightNames.InLayer(layer, WeightNames.Up), intermediate, hidden);
        DemandOneType(gate, up);
        var panel = _kernels.PanelOutputs;
        var pairs = (intermediate + panel - 1) / panel;
        var matrix = Own(_kernels.CreateMatrix(2 * pairs * panel, hidden, FormatOf(gate)));
        for (var pair = 0; pair < pairs; pair++)
        {
            var rows = Math.Min(panel, intermediate - (pair * panel));
            Pack(matrix, gate, pair * panel, rows, 2 * pair * panel);
            Pack(matrix, up, pair * panel, rows, ((2 * pair) + 1) * panel);
        }

        return matrix;
    }

    private PackedMatrix LoadMatrix(string name, int outputs, int inputs)
    {
        var tensor = _checkpoint.Get(name, outputs, inputs);
        var matrix = Own(_kernels.CreateMatrix(outputs, inputs, FormatOf(tensor)));
        Pack(matrix, tensor, 0, outputs, 0);
        return matrix;
    }

    private static void Pack(PackedMatrix matrix, Tensor tensor, int firstRow, int rows, int firstOutput)
    {
        try
        {
            if (matrix.Format == WeightFormat.Int8)
                Quantize(matrix, tensor, firstRow, rows, firstOutput);
            else
                matrix.PackRows(
                    tensor.Data + ((long)firstRow * matrix.Inputs * tensor.BytesPerElement), rows, firstOutput);
        }
        catch (InvalidWeightsException broken)
        {
            throw new ModelException($"The tensor {tensor.Name}, from row {firstRow}: {broken.Message}", broken);
        }
    }

    private static void Quantize(PackedMatrix matrix, Tensor tensor, int firstRow, int rows, int firstOutput)
    {
        var values = new float[matrix.Inputs];
        for (var row = 0; row < rows; row++)
        {
            tensor.CopyTo(values, (long)(firstRow + row) * matrix.Inputs);
            matrix.QuantizeRow(values, firstOutput + row);
        }
    }

    private NativeArray<float> LoadVector(string name, int length)
    {
        var vector = Own(new NativeArray<float>(length));
        _checkpoint.Get(name, length).CopyTo(new Span<float>(vector.Data, length));
        return vector;
    }

    private WeightFormat FormatOf(Tensor tensor)
    {
        if (_form == ServedWeights.Int8)
        {
            _formats.Add("INT8");
            return WeightFormat.Int8;
        }

        _formats.Add(tensor.Type.ToString());
        return tensor.Type switch
        {
            DType.F32 => WeightFormat.F32,
            DType.F16 => WeightFormat.F16,
            DType.BF16 => WeightFormat.BF16,
            _ => throw new ModelException($"The tensor {tensor.Name} is of type {tensor.Type}, which has no kernel."),
        };
    }

    private static void DemandOneType(params ReadOnlySpan<Tensor> tensors)
    {
        foreach (var tensor in tensors)
        {
            if (tensor.Type != tensors[0].Type)
                throw new ModelException($"The tensor {tensor.Name} is {tensor.Type}, {tensors[0].Name} is "
                    + $"{tensors[0].Type}. They are computed together: convert the checkpoint to one type.");
        }
    }

    private T Own<T>(T part)
        where T : IDisposable
    {
        _parts.Add(part);
        return part;
    }
}
