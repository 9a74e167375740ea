using Krewe.Abstractions;
using Krewe.Models;

namespace Krewe.Workers.Benching.Gpu;

/// <summary>A model on the GPU beside the CPU's engine: tokens, logits, bits in other batches; and how fast a step is.
/// </summary>
internal sealed class GpuModelChecks(ModelFolder model, CudaOptions options, TimeProvider time)
{
    private const int BlockTokens = 16;
    private const long KvMemoryBytes = 64L << 20;
    private const int Tokens = 24;
    private const double StepBound = 1.3;

    /// <summary>Of measured sequences. <see cref="StepsAhead"/> more are of the same two partitions: a step ahead that
    /// needs room for a third would have to wait.</summary>
    private const int Context = 576;

    private const int StepsAhead = 48;

    /// <summary>Activations are rounded to BF16 before every product; logits of the bundled model go up to
    /// 20.</summary>
    private const double LogitBound = 0.35;

    private static readonly string[] Questions =
    [
        "Count from 7 to 12.", "What is 7 plus 5?",
        "The code of amber is 4821. The code of birch is 9137. What is the code of birch?",
    ];

    private string Name => options.Overlap ? $"{model.Name}, overlapped" : model.Name;

    public IEnumerable<GpuRow> Exactness(CudaProducts products)
    {
        using var gpu = Create(products, KvMemoryBytes);
        using var cpu = ModelRunners.Create(model, WorkerDevice.Cpu, KvFormat.BF16, BlockTokens, KvMemoryBytes, 1);
        var (equal, worst) = (0, 0.0);
        foreach (var question in Questions)
        {
            var prompt = Prompt(question);
            var (expected, reference) = Decode(cpu, prompt);
            var (actual, logits) = Decode(gpu, prompt);
            equal += expected.SequenceEqual(actual) ? 1 : 0;
            for (var i = 0; i < logits.Length; i++) worst = Math.Max(worst, Math.Abs(logits[i] - reference[i]));
        }

        var name = $"{model.Name}, products {products}";
        yield return new GpuRow(
            $"{name}: tokens", equal == Questions.Length, $"{equal} of {Questions.Length} answers are the CPU's");
        yield return new GpuRow($"{name}: logits", worst <= LogitBound, $"off by {worst:0.000}, allowed {LogitBound}");
        yield return Invariance(gpu, name);
    }

    /// <summary>With kernels that begin early: the bits of those that do not, in chunks, in decode and in steps ahead.
    /// </summary>
    public IEnumerable<GpuRow> Overlapped()
    {
        var name = $"{model.Name}, overlapped";
        using var early = (CudaModelRunner)Create(CudaProducts.Exact, KvMemoryBytes);
        if (!early.Overlaps)
        {
            yield return new GpuRow(name, null, "not tried: needs sm_90 and a driver for CUDA 12.3 or newer");
            yield break;
        }

        yield return Invariance(early, name);
        using var plain = new GpuModelChecks(model, options with { Overlap = false }, time)
            .Create(CudaProducts.Exact, KvMemoryBytes);
        var same = Questions.All(question =>
        {
            var (expected, found) = (Decode(plain, Prompt(question)), Decode(early, Prompt(question)));
            return expected.Tokens.SequenceEqual(found.Tokens) && GpuBench.SameBits(expected.First, found.First);
        });
        yield return new GpuRow(
            $"{name}: tokens", same, same ? "and logits are those of kernels that wait" : "or logits are other ones");
    }

    /// <summary>KV in INT8 is as exact against itself as any; how far it is off BF16 is only said.</summary>
    public IEnumerable<GpuRow> Int8Kv()
    {
        using var int8 = Create(CudaProducts.Exact, KvMemoryBytes, KvFormat.Int8);
        using var plain = Create(CudaProducts.Exact, KvMemoryBytes);
        var name = $"{model.Name}, INT8 KV";
        yield return Invariance(int8, name);
        var (equal, worst) = (0, 0.0);
        foreach (var question in Questions)
        {
            var (expected, reference) = Decode(plain, Prompt(question));
            var (actual, logits) = Decode(int8, Prompt(question));
            equal += expected.SequenceEqual(actual) ? 1 : 0;
            worst = Math.Max(worst, logits.Zip(reference, (left, right) => Math.Abs(left - right)).Max());
        }

        yield return new GpuRow(
            $"{name}: loss", null, $"{equal} of {Questions.Length} answers are BF16's, logits off by {worst:0.000}");
    }

    /// <summary>Decode steps of 1, 16 and 64 sequences beside the time that reading every byte once takes.</summary>
    /// <param name="bandwidth">Bytes a second of a copy; 0: not known.</param>
    public IEnumerable<GpuRow> Speed(double bandwidth, long kvMemoryBytes, IReadOnlyList<int> prompts)
    {
        var gpu = TryCreate(kvMemoryBytes, out var refusal);
        if (gpu is null) return [new GpuRow(model.Name, null, $"not measured: {refusal}")];
        return Speed(gpu, bandwidth, prompts);
    }

    private IEnumerable<GpuRow> Speed(IModelRunner owned, double bandwidth, IReadOnlyList<int> prompts)
    {
        using var gpu = owned;
        foreach (var tokens in prompts.Where(tokens => tokens < model.Config.MaxPositions))
        {
            if (gpu.Kv.Geometry.BlocksFor(tokens) > gpu.Kv.BlockCount) continue;
            var seconds = Best(3, () => new Stream(gpu, tokens, 0).Prefill(512));
            yield return new GpuRow(
                $"{Name}: prompt of {tokens}", null, $"{seconds * 1000:0.0} ms in chunks of 512")
            {
                Value = seconds * 1000,
                Unit = "ms",
            };
        }

        foreach (var batch in new[] { 1, 16, 64 })
        {
            if ((Context + 64) / BlockTokens * batch > gpu.Kv.BlockCount) continue;
            var streams = Enumerable.Range(0, batch)
                .Select(i => new Stream(gpu, Context, i * ((Context + 64) / BlockTokens))).ToArray();
            foreach (var stream in streams) stream.Prefill(512);
            var seconds = Best(20, () => Stream.DecodeAll(gpu, streams));
            var bytes = WeightBytes() + ((double)batch * Context * gpu.Kv.Geometry.BlockBytes / BlockTokens);
            // A copy reads and writes: reading alone goes at its whole rate.
            var floor = bandwidth > 0 ? bytes / bandwidth : 0;
            yield return Step($"{Name}: decode step of {batch}", seconds, floor);
            if (gpu is IAheadRunner { RunsAhead: true } runner)
            {
                yield return Step(
                    $"{Name}: decode step of {batch}, one ahead", AheadSeconds(runner, streams), floor);
            }
        }
    }

    /// <summary>Of one step, while the next is always queued behind it: what serving has.</summary>
    private double AheadSeconds(IAheadRunner runner, Stream[] streams)
    {
        StepBatch[] batches = [new(), new()];
        Stream.WriteAhead(batches[0], streams, 0);
        var begun = time.GetTimestamp();
        if (!runner.TryQueue(batches[0])) throw new InvalidOperationException("A step could not be queued.");
        for (var step = 1; step <= StepsAhead; step++)
        {
            Stream.WriteAhead(batches[step % 2], streams, step);
            if (!runner.TryQueue(batches[step % 2])) throw new InvalidOperationException("A step had no room.");
            runner.Finish();
        }

        runner.Finish();
        return time.GetElapsedTime(begun).TotalSeconds / (StepsAhead + 1);
    }

    /// <param name="floor">Seconds that reading every byte once takes; 0: not known.</param>
    private static GpuRow Step(string name, double seconds, double floor) => floor > 0
        ? new GpuRow(
            name, seconds <= StepBound * floor,
            $"{seconds * 1000:0.00} ms, {seconds / floor:0.00} x the bytes' time, wanted {StepBound}")
        {
            Value = seconds * 1000,
            Unit = "ms",
            Limit = floor * 1000,
        }
        : new GpuRow(name, null, $"{seconds * 1000:0.00} ms") { Value = seconds * 1000, Unit = "ms" };

    private static GpuRow Invariance(IModelRunner gpu, string name)
    {
        var whole = new Stream(gpu, 90, 0).Prefill(int.MaxValue);
        var chunked = new Stream(gpu, 90, 20).Prefill(13);
        var again = new Stream(gpu, 90, 40);
        again.Prefill(50);
        again.Rewind();
        var decoded = again.Prefill(int.MaxValue);
        var among = new Stream(gpu, 90, 60).PrefillAmong(gpu, 100);
        var same = GpuBench.SameBits(whole, chunked) && GpuBench.SameBits(whole, decoded)
            && GpuBench.SameBits(whole, among);
        return new GpuRow(
            $"{name}: bits", same, same ? "the same in chunks, in decode and among neighbours" : "depend on the batch");
    }

    private IModelRunner? TryCreate(long kvMemoryBytes, out string refusal)
    {
        refusal = "";
        try
        {
            return Create(options.Products, kvMemoryBytes);
        }
        catch (KreweException error)
        {
            refusal = error.Message;
            return null;
        }
    }

    private IModelRunner Create(
        CudaProducts products, long kvMemoryBytes, KvFormat kvFormat = KvFormat.BF16) => ModelRunners.Create(
        model, WorkerDevice.Cuda, kvFormat, BlockTokens, kvMemoryBytes, 1,
        cuda: options with { Products = products });

    private int[] Prompt(string question) => [.. model.Tokenizer.Encode(
        $"<|begin|><|user|>{question}<|end|><|assistant|>", addSpecialTokens: false)];

    private (List<int> Tokens, float[] First) Decode(IModelRunner runner, int[] prompt)
    {
        var stream = new Stream(runner, prompt, 0);
        var first = stream.Prefill(int.MaxValue);
        var (tokens, logits) = (new List<int>(), first);
        while (tokens.Count < Tokens)
        {
            var token = Array.IndexOf(logits, logits.Max());
            if (model.StopTokenIds.Contains(token)) break;
            tokens.Add(token);
            stream.Append(token);
            logits = stream.Prefill(int.MaxValue);
        }

        return (tokens, first);
    }

    private double WeightBytes()
    {
        var config = model.Config;
        double layer = ((double)config.HiddenSize * config.HeadDim * ((2 * config.Heads) + (2 * config.KvHeads)))
            + (3.0 * config.HiddenSize * config.IntermediateSize);
        return 2 * ((layer * config.Layers) + ((double)config.HiddenSize * config.VocabularySize));
    }

    private double Best(int repeats, Action act)
    {
        act();
        var best = double.PositiveInfinity;
        for (var i = 0; i < repeats; i++)
        {
            var begun = time.GetTimestamp();
            act();
            best = Math.Min(best, time.GetElapsedTime(begun).TotalSeconds);
        }

        return best;
    }

    /// <summary>Tokens over a runner, in blocks from a first one on.</summary>
    private sealed class Stream(IModelRunner runner, int[] prompt, int firstBlock)
    {
        private readonly List<int> _tokens = [.. prompt];
        private readonly StepBatch _batch = new();
        private int _computed;

        public Stream(IModelRunner runner, int tokens, int firstBlock)
            : this(runner, [.. Enumerable.Range(0, tokens).Select(i => 5 + (i * 7 % (runner.VocabularySize - 5)))],
                firstBlock)
        {
        }

        public static void DecodeAll(IModelRunner runner, Stream[] streams)
        {
            var batch = new StepBatch();
            foreach (var stream in streams)
            {
                stream._computed--;
                var row = stream.AddTo(batch, 1)!.Value;
                batch.SetDraw(row, default);
            }

            runner.Run(batch);
        }

        /// <summary>A step of all streams, the first after their last token, later ones after what the one before
        /// drew.</summary>
        public static void WriteAhead(StepBatch batch, Stream[] streams, int step)
        {
            batch.Clear();
            for (var i = 0; i < streams.Length; i++)
            {
                var position = streams[i]._tokens.Count - 1 + step;
                var blocks = streams[i].BlocksFor(position + 1);
                var row = step == 0
                    ? batch.Add([streams[i]._tokens[^1]], position, blocks, BlockTokens, wantLogits: true)!.Value
                    : batch.AddDrawn(i, position, blocks, BlockTokens);
                batch.SetDraw(row, default);
            }
        }

        public void Append(int token) => _tokens.Add(token);

        public void Rewind() => _computed--;

        public float[] Prefill(int chunk)
        {
            var logits = Array.Empty<float>();
            if (_computed == _tokens.Count) _computed = 0;
            while (_computed < _tokens.Count)
            {
                _batch.Clear();
                if (AddTo(_batch, chunk) is not { } row)
                {
                    runner.Run(_batch);
                    continue;
                }

                runner.Run(_batch);
                logits = Logits(_batch, row);
            }

            return logits;
        }

        public float[] PrefillAmong(IModelRunner other, int neighbours)
        {
            var batch = new StepBatch();
            for (var i = 0; i < neighbours; i++) new Stream(other, 1 + (i % 3), 70 + i).AddTo(batch, 16);
            var row = AddTo(batch, int.MaxValue)!.Value;
            other.Run(batch);
            return Logits(batch, row);
        }

        private float[] Logits(StepBatch batch, int row) =>
            batch.Logits.AsSpan(row * runner.VocabularySize, runner.VocabularySize).ToArray();

        private int? AddTo(StepBatch batch, int chunk)
        {
            var count = Math.Min(chunk, _tokens.Count - _computed);
            var blocks = BlocksFor(_computed + count);
            var row = batch.Add(
                _tokens.GetRange(_computed, count).ToArray(), _computed, blocks, runner.Kv.Geometry.BlockTokens,
                _computed + count == _tokens.Count);
            _computed += count;
            return row;
        }

        private int[] BlocksFor(int tokens) => [.. Enumerable.Range(firstBlock, runner.Kv.Geometry.BlocksFor(tokens))];
    }
}
