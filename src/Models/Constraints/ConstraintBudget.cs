using System.Globalization;

namespace Krewe.Models;

/// <summary>
/// What compiling one constraint may take. Every limit is far above real schemas and grammars; together they hold a
/// hostile one to about a tenth of a second and some megabytes.
/// </summary>
internal sealed class ConstraintBudget
{
    public const int StatesMax = 20_000;

    private const int DraftStatesMax = 120_000;
    private const int WorkMax = 600_000;

    private int _states;
    private int _draftStates;
    private long _work;

    /// <summary>One more state of the finished automaton.</summary>
    public void TakeState()
    {
        if (++_states > StatesMax) throw TooLarge(StatesMax);
    }

    /// <summary>One more state of an automaton that is still to be made deterministic.</summary>
    public void TakeDraftState()
    {
        if (++_draftStates > DraftStatesMax) throw TooLarge(DraftStatesMax);
    }

    /// <summary>An automaton has become deterministic so far.</summary>
    public static void DemandStates(int states)
    {
        if (states > StatesMax) throw TooLarge(StatesMax);
    }

    /// <summary>Elementary operations.</summary>
    public void TakeWork(long operations)
    {
        _work += operations;
        if (_work > WorkMax)
        {
            throw new ConstraintException(
                "it is too ambiguous: making it deterministic takes too long. Use fewer alternatives and repetitions "
                + "that can match the same text");
        }
    }

    private static ConstraintException TooLarge(int states) => new(string.Create(
        CultureInfo.InvariantCulture,
        $"it needs more than {states} states. Use fewer or shorter repetitions, lengths, alternatives or properties"));
}
