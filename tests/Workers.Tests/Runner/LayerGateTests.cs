using Krewe.Abstractions;

namespace Krewe.Workers.Tests.Runner;

public sealed class LayerGateTests
{
    /// <summary>
    /// Layers of a prefix's blocks are put in place only when the runner asks for them; a layer that is read before it
    /// was asked for would be rubbish and change the logits.
    /// </summary>
    [Theory]
    [InlineData(WorkerDevice.Cpu, 2)]
    [InlineData(WorkerDevice.Reference, 1)]
    public void Each_layer_is_asked_for_before_it_is_read(WorkerDevice device, int threads)
    {
        using var model = TinyModel.Open();
        using var runner = ModelRunners.Create(model, device, kvFormat: null, 16, 4 << 20, threads);
        const string question = "The code of amber is 4821. The code of birch is 9137. What is the code of birch?";
        var tokens = model.Tokenizer.Encode(TinyModel.Prompt(question), addSpecialTokens: false);
        Assert.InRange(tokens.Length, 18, 64);
        int[] blocks = [0, 1, 2, 3];
        var expected = Run(runner, tokens, 0, blocks, null);
        var kept = new byte[runner.Kv.Geometry.BlockBytes];
        runner.Kv.CopyOut(new BlockId(0), kept);

        runner.Kv.TryGetMemory(new BlockId(0), out var place);
        place.Span.Fill(0x3f);
        var gate = new CopyingGate(kept, place, runner.Kv.Geometry.LayerBytes);
        Assert.Equal(expected, Run(runner, tokens, 16, blocks, gate));
        Assert.Equal(Enumerable.Range(0, runner.Kv.Geometry.Layers), gate.Asked.Distinct());

        place.Span.Fill(0x3f);
        Assert.NotEqual(expected, Run(runner, tokens, 16, blocks, null)); // the rubbish shows
    }

    private static float[] Run(IModelRunner runner, int[] tokens, int first, int[] blocks, ILayerGate? gate)
    {
        var batch = new StepBatch { Gate = gate };
        batch.Add(tokens.AsSpan(first), first, blocks, 16, wantLogits: true);
        runner.Run(batch);
        return batch.Logits[..runner.VocabularySize];
    }

    private sealed class CopyingGate(byte[] source, Memory<byte> place, int layerBytes) : ILayerGate
    {
        public List<int> Asked { get; } = [];

        public void WaitForLayer(int layer)
        {
            Asked.Add(layer);
            source.AsSpan(layer * layerBytes, layerBytes).CopyTo(place.Span[(layer * layerBytes)..]);
        }
    }
}
