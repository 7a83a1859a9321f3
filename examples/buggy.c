int average(const int *score, int count)
{
    int sum = 0;
    for (int i = 0; i <= count; i++)
        sum += score[i];
    return sum / count;
}
