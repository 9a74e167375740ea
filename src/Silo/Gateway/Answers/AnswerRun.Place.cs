using Krewe.Silo.Gateway.Admission;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>What a run takes of the silo: a place inside the door, and a turn at the workers.</summary>
internal sealed partial class AnswerRun
{
    private Place? _place;
    private Turn? _turn;
    private Action<IReadOnlyList<int>>? _ending;

    /// <summary>Completes when every prompt has its first token, or never will.</summary>
    public Task Prefilled { get; private set; } = Task.CompletedTask;

    /// <summary>What its tenant has left; null = not limited.</summary>
    public Control.Admission.BudgetState? Budget => _place?.Budget;

    /// <summary>Prompts once each, and all output.</summary>
    private long UsedTokens
    {
        get
        {
            var tokens = streams.Sum(stream => (long)stream.TokenCount);
            for (var i = 0; i < streams.Count; i += request.Candidates) tokens += request.Specs[i].PromptTokens.Length;
            return tokens;
        }
    }

    /// <summary>Takes both over. Once, right after the start.</summary>
    /// <param name="ending">Told, at the end, of each sequence's output tokens.</param>
    public void Occupy(Place place, Turn turn, Action<IReadOnlyList<int>> ending)
    {
        (_place, _turn, _ending) = (place, turn, ending);
        Prefilled = LeavePrefillAsync(turn);
        _siblings.Add(Prefilled);
    }

    /// <summary>Gives both back. Only when the run has been disposed of.</summary>
    public void Vacate()
    {
        _turn?.End(streams.Sum(stream => (long)stream.TokenCount));
        _place?.Leave(UsedTokens);
        _ending?.Invoke([.. streams.Select(stream => stream.TokenCount)]);
    }

    /// <summary>The workers take the next prompt when all of this one's have their first token, or never will.
    /// </summary>
    private async Task LeavePrefillAsync(Turn turn)
    {
        try
        {
            for (var i = 0; i < streams.Count; i += request.Candidates) await streams[i].ReadAsync(0, _ended.Token);
        }
        catch (OperationCanceledException)
        {
            // The answer is over.
        }
        finally
        {
            turn.LeavePrefill();
        }
    }
}
