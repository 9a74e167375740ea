using Krewe.Abstractions;
using Krewe.Silo.Gateway.Admission;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Gateway.Requests;
using Krewe.Silo.Hosting;

namespace Krewe.Silo.Gateway;

/// <summary>
/// Ready = a real generation went through prefill and decode. Two tokens are needed: the first one comes from prefill.
/// One probe at a time, and its result holds for a second, however many ask.
/// </summary>
internal sealed class ReadinessProbe(
    Generator generator, ServedModel model, Door door, Entropy entropy, TimeProvider time) : IDisposable
{
    private const int ProbeTokens = 2;

    private static readonly TimeSpan HoldTime = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _single = new(1);
    private long? _checkedAt;
    private string? _reason;

    /// <summary>Null when ready, else why not.</summary>
    public async Task<string?> CheckAsync(CancellationToken cancellationToken)
    {
        if (door.IsDraining) return "The silo is shutting down.";
        await _single.WaitAsync(cancellationToken);
        try
        {
            if (_checkedAt is { } at && time.GetElapsedTime(at) < HoldTime) return _reason;
            _reason = await GenerateAsync();
            _checkedAt = time.GetTimestamp();
            return _reason;
        }
        finally
        {
            _single.Release();
        }
    }

    public void Dispose() => _single.Dispose();

    private async Task<string?> GenerateAsync()
    {
        using var patience = new CancellationTokenSource(Patience, time);
        try
        {
            await using var run = await generator.StartAsync(Request());
            var reader = run.OpenReader();
            while (await reader.NextAsync(patience.Token) is not null)
            {
                // Each delta brings the end nearer; its text does not matter.
            }

            return null;
        }
        catch (KreweException e)
        {
            return $"{e.Code}: {e.Message}";
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested)
        {
            return $"No answer of {ProbeTokens} tokens within {Patience.TotalSeconds} s.";
        }
    }

    private GenerationRequest Request()
    {
        var now = time.GetUtcNow();
        return new GenerationRequest
        {
            Specs =
            [
                new RequestSpec
                {
                    // Its name tells it from users' requests in records and logs.
                    RequestId = $"ready-{entropy.NextId()}",
                    Model = model.Name,
                    PromptTokens = [model.Folder.Config.BosTokenId ?? 0],
                    MaxOutputTokens = ProbeTokens,
                    IgnoreEos = true,
                    Sampling = new SamplingSpec { Temperature = 0 },
                    ArrivedAt = now,
                    Deadline = now + Patience,
                },
            ],
        };
    }
}
