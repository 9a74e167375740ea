using System.CommandLine;
using System.Security.Cryptography;
using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Models;
using Krewe.Workers;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Cli;

/// <summary>
/// <c>krewe generate</c>: the engine of a worker in this process, without silo and links. It gives the tokens that a
/// cluster gives for the same prompt, seed and settings; prompts run one after the other.
/// </summary>
internal sealed class GenerateCommand : Command
{
    private readonly PromptList _prompts = new();
    private readonly EngineSettings _engine = new();

    private readonly Option<string?> _model = Setting.Text(
        "--model", "DIR", "Model folder. Default: the bundled model.");

    private readonly UsualOption<int> _maxTokens = Setting.Count("--max-tokens", "Longest output in tokens.", 128, 1);

    private readonly Option<float?> _temperature = Setting.OptionalNumber(
        "--temperature", "0 always takes the likeliest token. Default: the model's, or 1.", 0, 2);

    private readonly Option<float?> _topP = Setting.OptionalNumber(
        "--top-p", "Sample from the likeliest tokens that have this share. Default: the model's, or 1.", 1e-6f, 1);

    private readonly Option<int?> _topK = Setting.OptionalCount(
        "--top-k", "Sample from this many of the likeliest tokens. Default: the model's, or all.", 1);

    private readonly Option<long?> _seed = Setting.OptionalLong(
        "--seed", "Seed of the sampling. Default: drawn, and printed.");

    private readonly Option<bool> _ignoreEos = new("--ignore-eos") { Description = "Go on behind the model's end." };
    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON object a line." };
    private readonly Terminal _terminal;

    public GenerateCommand(Terminal terminal)
        : base("generate", "Generate offline, in one process.")
    {
        _terminal = terminal;
        _prompts.AddTo(this);
        foreach (var option in (Option[])[_model, _maxTokens, _temperature, _topP, _topK, _seed, _ignoreEos, _json])
            Add(option);
        _engine.AddLocalTo(this);
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        if (_prompts.IsEmpty(result))
        {
            return _terminal.RefuseUsage(
                ["Nothing to do: give --prompt TEXT, --chat TEXT or --prompt-ids 1,2,3."], Name);
        }

        var time = TimeProvider.System;
        using var model = ModelFolder.Open(result.GetValue(_model) ?? BundledModel.Find());
        var prompts = _prompts.Read(result, model, time);
        var options = _engine.Read(result, Local(model), Environment.ProcessorCount);
        using var logs = Logs.Create(result, _terminal, time);
        await using var engine = LocalEngine.Create(model, options, time, logs.CreateLogger("Krewe.Engine"));
        var seed = result.GetValue(_seed) ?? BitConverter.ToInt64(RandomNumberGenerator.GetBytes(sizeof(long)));
        for (var i = 0; i < prompts.Count; i++)
        {
            var start = Describe(result, model, prompts[i], $"local-{i}", seed);
            Print(await AnswerAsync(engine, model, start, cancellationToken), result.GetValue(_json));
        }

        return ExitCode.Success;
    }

    private static async Task<GenerateAnswer> AnswerAsync(
        LocalEngine engine, ModelFolder model, StartSequence start, CancellationToken cancellationToken)
    {
        List<int> tokens = [];
        var reason = FinishReason.Unspecified;
        await foreach (var run in engine.GenerateAsync(start, cancellationToken))
        {
            tokens.AddRange(run.Tokens.Select(token => (int)token));
            reason = run.Finish;
        }

        // The token that ended the answer is an output token but no text, as in the API.
        var visible = reason == FinishReason.Stop ? tokens[..^1] : tokens;
        return new GenerateAnswer
        {
            PromptTokenIds = [.. start.PromptTokens.Select(token => (int)token)],
            TokenIds = tokens,
            Text = model.Tokenizer.Decode(visible.ToArray()),
            FinishReason = reason == FinishReason.Stop ? "stop" : "length",
            Seed = (long)start.Sampling.Seed,
            Numerics = engine.Numerics.ToString(),
        };
    }

    private StartSequence Describe(ParseResult result, ModelFolder model, int[] prompt, string id, long seed)
    {
        var start = new StartSequence
        {
            Key = new Krewe.Abstractions.Wire.SequenceKey { RequestId = id, Epoch = 1 },
            Part = SequencePart.Whole,
            MaxOutputTokens = (uint)Math.Min(_maxTokens.Read(result), model.Config.MaxPositions - prompt.Length),
            IgnoreEos = result.GetValue(_ignoreEos),
            Sampling = new SamplingParameters
            {
                Temperature = result.GetValue(_temperature) ?? model.Defaults.Temperature ?? 1,
                TopP = result.GetValue(_topP) ?? model.Defaults.TopP ?? 1,
                TopK = (uint)(result.GetValue(_topK) ?? model.Defaults.TopK ?? 0),
                MinP = model.Defaults.MinP ?? 0,
                RepetitionPenalty = model.Defaults.RepetitionPenalty ?? 1,
                Seed = (ulong)seed,
            },
        };
        start.PromptTokens.AddRange(prompt.Select(token => (uint)token));
        start.StopTokens.AddRange(model.StopTokenIds.Select(token => (uint)token));
        return start;
    }

    private void Print(GenerateAnswer answer, bool asJson)
    {
        if (asJson)
        {
            _terminal.Out.WriteLine(JsonSerializer.Serialize(answer, GenerateJson.Default.GenerateAnswer));
            return;
        }

        _terminal.Out.WriteLine($"token_ids: {string.Join(',', answer.TokenIds)}");
        _terminal.Out.WriteLine($"text: {answer.Text}");
        _terminal.Out.WriteLine($"finish_reason: {answer.FinishReason} (seed {answer.Seed})");
    }

    private static WorkerOptions Local(ModelFolder model) => new()
    {
        WorkerId = "local",
        Role = WorkerRole.Mixed,
        ModelDirectory = model.Directory,
        Silos = [],
    };
}
