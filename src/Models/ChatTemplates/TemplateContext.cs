using System.Runtime.CompilerServices;
using System.Text;

namespace Krewe.Models;

/// <summary>
/// One rendering: variables, output and budget. The limits are far above any real template's need; they stop a hostile
/// one from holding a gateway's thread or memory.
/// </summary>
internal sealed class TemplateContext
{
    /// <summary>Evaluated nodes plus produced characters / 64: well under a second.</summary>
    public const int StepsMax = 4_000_000;

    /// <summary>Length of any one string, and of the output.</summary>
    public const int CharsMax = 16 << 20;

    private const int MacroDepthMax = 32;

    private const int CharsPerStep = 64;

    private readonly List<Dictionary<string, object?>> _scopes = [];
    private int _stepsLeft = StepsMax;
    private int _macroDepth;

    public TemplateContext(Dictionary<string, object?> variables, TimeProvider clock)
    {
        Clock = clock;
        _scopes.Add(TemplateGlobals.Functions);
        _scopes.Add(variables);
    }

    public TimeProvider Clock { get; }

    public StringBuilder Output { get; private set; } = new();

    /// <summary>Line of the statement that runs, for complaints.</summary>
    public int Line { get; set; } = 1;

    /// <summary>Spends budget for one node, and checks that the stack can take a deeper one.</summary>
    public void Step()
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        Spend(1);
    }

    /// <summary>Spends budget for a value of that many elements.</summary>
    public void Spend(int steps)
    {
        _stepsLeft -= steps;
        if (_stepsLeft < 0)
            throw Error($"the template runs for more than {StepsMax} steps");
    }

    /// <summary>Accounts for a string that is about to be made.</summary>
    public void DemandChars(long chars)
    {
        if (chars > CharsMax)
            throw Error($"the template makes a text of more than {CharsMax} characters");
        Spend((int)(chars / CharsPerStep));
    }

    public void Write(string text)
    {
        DemandChars(text.Length);
        if (Output.Length + text.Length > CharsMax)
            throw Error($"the template writes more than {CharsMax} characters");
        Output.Append(text);
    }

    public object? Lookup(string name)
    {
        for (var i = _scopes.Count - 1; i >= 0; i--)
        {
            if (_scopes[i].TryGetValue(name, out var value))
                return value;
        }

        return new Undefined(name);
    }

    public void Assign(string name, object? value) => _scopes[^1][name] = value;

    public void Push() => _scopes.Add(new Dictionary<string, object?>(StringComparer.Ordinal));

    public void Pop() => _scopes.RemoveAt(_scopes.Count - 1);

    /// <summary>Runs a body and returns what it wrote.</summary>
    public string Capture(Action body)
    {
        var outer = Output;
        Output = new StringBuilder();
        try
        {
            body();
            return Output.ToString();
        }
        finally
        {
            Output = outer;
        }
    }

    /// <summary>Runs a macro's body: it sees the template's own variables, not those of the place that calls
    /// it.</summary>
    public string CallMacro(Action body)
    {
        if (_macroDepth == MacroDepthMax)
            throw Error($"macros call each other more than {MacroDepthMax} deep");
        var inner = _scopes.GetRange(2, _scopes.Count - 2);
        _scopes.RemoveRange(2, _scopes.Count - 2);
        _macroDepth++;
        Push();
        try
        {
            return Capture(body);
        }
        finally
        {
            _scopes.RemoveRange(2, _scopes.Count - 2);
            _scopes.AddRange(inner);
            _macroDepth--;
        }
    }

    public TemplateException Error(string complaint) => new($"The chat template failed at line {Line}: {complaint}.");
}
