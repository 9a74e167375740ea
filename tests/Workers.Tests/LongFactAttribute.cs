namespace Krewe.Workers.Tests;

/// <summary>
/// A test that takes a minute or more: skipped, saying so, unless <c>./krewe test --long</c> asks for it.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class LongFactAttribute : FactAttribute
{
    public LongFactAttribute(string takes)
    {
        if (Environment.GetEnvironmentVariable("KREWE_LONG_TESTS") != "1")
            Skip = $"takes {takes}; ./krewe test --long runs it";
    }
}
